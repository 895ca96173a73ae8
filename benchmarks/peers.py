"""The libraries that solve sequences of related systems today, at their best setting, one thread.

Each peer is made for a family from an example: what depends on the sparsity pattern alone is done once, and where a
matrix is that of the system before, its factors or its hierarchy are used again. Direct peers refine where their
solution misses the tolerance. Those that are not installed are left out: ``pip install pypardiso scikit-sparse`` (the
latter needs SuiteSparse's headers), and PETSc where ``petsc4py`` can be imported.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.linear_system import LinearSystem
from kernels.linear_systems.cg import cg
from kernels.linear_systems.direct import factorize
from kernels.linear_systems.gmres import gmres
from kernels.linear_systems.multigrid import multigrid_preconditioner
from kernels.linear_systems.preconditioners import FactorizationError

Array = NDArray[np.float64]
Solve = Callable[[LinearSystem], Array]
Factorize = Callable[[Any], Callable[[Array], Array]]

MOST_REFINEMENTS = 3


def peers(example: LinearSystem, tolerance: float) -> dict[str, Solve]:
    """The peers that are installed and made for systems like the example."""
    found: dict[str, Solve] = {"SciPy SuperLU": Direct(_superlu, tolerance)}
    if (pypardiso := _import("pypardiso")) is not None:
        found["MKL PARDISO"] = Direct(_pardiso(pypardiso, example), tolerance)
    cholmod = _import("sksparse.cholmod")
    if cholmod is not None and example.symmetric:
        for ordering in ("nesdis", "amd"):
            found[f"CHOLMOD {ordering}"] = Direct(_cholmod(cholmod, example, ordering), tolerance)
    if (petsc := _import("petsc4py.PETSc")) is not None:
        found["PETSc LU"] = Direct(_petsc(petsc, example), tolerance)
    kinds = ("ruge_stuben", "smoothed_aggregation") if example.symmetric else ("ruge_stuben",)
    if example.positive_definite or not example.symmetric:
        found |= {f"PyAMG {kind.replace('_', ' ')}": Algebraic(kind, tolerance) for kind in kinds}
    return found


def relative_residual(system: LinearSystem, solution: Array) -> float:
    """``||b - A x|| / ||b||``."""
    return float(np.linalg.norm(system.rhs - system.matrix @ solution) / np.linalg.norm(system.rhs))


class Direct:
    """Factorise, substitute, refine; factors of the same matrix are used again."""

    def __init__(self, factorize: Factorize, tolerance: float) -> None:
        self._factorize, self._tolerance = factorize, tolerance
        self._data: Array | None = None
        self._substitute: Callable[[Array], Array] | None = None

    def __call__(self, system: LinearSystem) -> Array:
        """The solution of one system."""
        if self._substitute is None or self._data is None or not np.array_equal(self._data, system.matrix.data):
            self._substitute, self._data = self._factorize(system.matrix), system.matrix.data
        solution = self._substitute(system.rhs)
        for _ in range(MOST_REFINEMENTS):
            residual = system.rhs - system.matrix @ solution
            if np.linalg.norm(residual) <= self._tolerance * np.linalg.norm(system.rhs):
                break
            solution = solution + self._substitute(residual)
        return solution


class Algebraic:
    """PyAMG's V-cycle in front of CG, or of GMRES where the matrix is not symmetric."""

    def __init__(self, kind: Any, tolerance: float) -> None:
        self._kind, self._tolerance = kind, tolerance
        self._data: Array | None = None
        self._preconditioner: Any = None

    def __call__(self, system: LinearSystem) -> Array:
        """The solution of one system; NaN where there is no hierarchy."""
        if self._data is None or not np.array_equal(self._data, system.matrix.data):
            try:
                self._preconditioner = multigrid_preconditioner(
                    system.matrix, self._kind, symmetric=system.positive_definite
                )
            except FactorizationError:
                return np.full(system.rhs.shape, np.nan)
            self._data = system.matrix.data
        iterate = cg if system.positive_definite else gmres
        options = {"preconditioner": self._preconditioner, "tolerance": self._tolerance, "max_iterations": 300}
        return iterate(system.matrix, system.rhs, **options).value


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _superlu(matrix: Any) -> Callable[[Array], Array]:
    factors = factorize(matrix)
    if factors is None:
        raise ArithmeticError("the matrix is singular")
    return factors.solve


def _pardiso(pypardiso: Any, example: LinearSystem) -> Factorize:
    """MKL PARDISO, symmetric where the systems are; phase 12 analyses and factorises, 22 factorises, 33 solves."""
    kind = 11 if not example.symmetric else 2 if example.positive_definite else -2
    solver = pypardiso.PyPardisoSolver(mtype=kind)
    solver._check_A = lambda *_: None
    # own parameters, METIS order, and for matrices that are not definite scaling and matching as the manual advises
    scaling = {2: (), -2: ((10, 8), (11, 1), (13, 1), (21, 1)), 11: ((10, 13), (11, 1), (13, 1))}
    for parameter, value in ((1, 1), (2, 2), (8, 1), *scaling[kind]):
        solver.set_iparm(parameter, value)
    row = np.repeat(np.arange(len(example.rhs)), np.diff(example.matrix.indptr))
    kept = np.flatnonzero(example.matrix.indices >= row) if example.symmetric else slice(None)
    indices = example.matrix.indices[kept]
    indptr = np.searchsorted(row[kept], np.arange(len(example.rhs) + 1)).astype(np.int32)
    analysed = False

    def factorise(matrix: Any) -> Callable[[Array], Array]:
        nonlocal analysed
        upper = sp.csr_matrix((matrix.data[kept], indices, indptr), shape=matrix.shape)
        solver.set_phase(22 if analysed else 12)
        solver._call_pardiso(upper, np.zeros(matrix.shape[0]))
        analysed = True

        def substitute(rhs: Array) -> Array:
            solver.set_phase(33)
            return np.asarray(solver._call_pardiso(upper, np.ascontiguousarray(rhs))).ravel()

        return substitute

    return factorise


def _cholmod(cholmod: Any, example: LinearSystem, ordering: str) -> Factorize:
    def columns(matrix: Any) -> Any:
        # of a symmetric matrix CSR and CSC are the same arrays
        return sp.csc_matrix((matrix.data, matrix.indices, matrix.indptr), shape=matrix.shape)

    mode = "supernodal" if example.positive_definite else "simplicial"
    factor = cholmod.analyze(columns(example.matrix), mode=mode, ordering_method=ordering)

    def factorise(matrix: Any) -> Callable[[Array], Array]:
        factor.cholesky_inplace(columns(matrix))
        return factor  # type: ignore[no-any-return]

    return factorise


def _petsc(petsc: Any, example: LinearSystem) -> Factorize:
    """PETSc's own factorisation in nested dissection order; values are replaced in one matrix, the analysis kept."""
    size = example.matrix.shape
    matrix_of_petsc = petsc.Mat().createAIJ(
        size, csr=(example.matrix.indptr, example.matrix.indices, example.matrix.data)
    )
    solver = petsc.KSP().create()
    solver.setOperators(matrix_of_petsc)
    solver.setType("preonly")
    preconditioner = solver.getPC()
    preconditioner.setType("cholesky" if example.positive_definite else "lu")
    preconditioner.setFactorOrdering("nd", reuse=True)
    solution = matrix_of_petsc.createVecRight()

    def factorise(matrix: Any) -> Callable[[Array], Array]:
        matrix_of_petsc.setValuesCSR(matrix.indptr, matrix.indices, matrix.data)
        matrix_of_petsc.assemble()
        solver.setUp()

        def substitute(rhs: Array) -> Array:
            solver.solve(petsc.Vec().createWithArray(rhs), solution)
            return np.array(solution.getArray())

        return substitute

    return factorise
