"""Exact implicit differentiation: the lower level solved, the linear system too, as a reference for all methods."""

from typing import Any

import numpy as np
from scipy.optimize import minimize

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.optimization.bilevel.oracles import check_start
from kernels.optimization.bilevel.problem import BilevelProblem, Matrix, Vector
from kernels.optimization.bilevel.systems import conjugate_gradients
from kernels.result import Result, Status

_NEWTON_GRADIENT = 1e-7


def solve_lower(problem: BilevelProblem, x: Vector, start: Matrix | None = None) -> Matrix:
    """All y_i(x), shape (m, q), by SciPy's trust-region Newton method and one Newton step to the end of precision."""
    blocks = np.arange(problem.blocks)
    y0 = problem.lower_start if start is None else start
    shape = y0.shape
    found: Any = minimize(  # type: ignore[call-overload]
        lambda y: float(problem.lower_value(x, y.reshape(shape), blocks).sum()),
        y0.ravel(),
        jac=lambda y: problem.lower_gradient(x, y.reshape(shape), blocks).ravel(),
        hessp=lambda y, v: problem.hessian_product(x, y.reshape(shape), v.reshape(shape), blocks).ravel(),
        method="trust-ncg",
        options={"gtol": _NEWTON_GRADIENT},
    )
    y: Matrix = found.x.reshape(shape)
    return y - _solve_system(problem, x, y, problem.lower_gradient(x, y, blocks))


def hypergradient(problem: BilevelProblem, x: Vector, start: Matrix | None = None) -> tuple[float, Vector, Matrix]:
    """F(x), its gradient grad_x f - Hess_xy g (Hess_yy g)^-1 grad_y f, shape (p,), and all y_i(x), shape (m, q).

    Parameters
    ----------
    problem : BilevelProblem
    x : ndarray, shape (p,), float64
    start : ndarray, shape (m, q), float64, optional
        Where the solution of the lower level starts.
    """
    blocks = np.arange(problem.blocks)
    y = solve_lower(problem, x, start)
    direct, pull = problem.upper_gradient(x, y, blocks)
    solution = _solve_system(problem, x, y, pull)
    return problem.upper_value(x, y, blocks), direct - problem.cross_product(x, y, solution, blocks), y


def _solve_system(problem: BilevelProblem, x: Vector, y: Matrix, right_hand_sides: Matrix) -> Matrix:
    blocks = np.arange(problem.blocks)
    return conjugate_gradients(
        lambda v: problem.hessian_product(x, y, v, blocks),
        right_hand_sides,
        np.zeros_like(y),
        2 * y.shape[1],
        1e-10,
    )


def implicit_differentiation(problem: BilevelProblem, *, tolerance: float = 1e-4, max_iterations: int = 200) -> Result:
    """Minimise F by SciPy's L-BFGS on its exact value and gradient, the lower level solved anew at every point.

    Parameters
    ----------
    problem : BilevelProblem
    tolerance : float
        On ||grad F(x)|| relative to that at the start.
    max_iterations : int

    Returns
    -------
    Result
        The value is the last point; the history holds the problem's progress after each iteration.

    Raises
    ------
    ValueError
        If an option is out of range.
    """
    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)
    check_start(problem)
    history = [problem.progress(problem.upper_start, problem.lower_start)]
    if not np.isfinite(history[0]):
        return Result(np.full_like(problem.upper_start, np.nan), Status.NOT_FINITE, np.array(history))
    path = _Path(problem)
    first = np.linalg.norm(path.value_and_gradient(problem.upper_start)[1])
    point, length = problem.upper_start, first

    def after_iteration(x: Vector) -> None:
        nonlocal point, length
        point, length = x.copy(), np.linalg.norm(path.value_and_gradient(x)[1])
        history.append(problem.progress(x, path.y))
        if length <= tolerance * first:
            raise StopIteration

    with np.errstate(over="ignore", invalid="ignore"):  # the line search may try far points
        minimize(  # type: ignore[call-overload]
            path.value_and_gradient,
            problem.upper_start,
            jac=True,
            method="L-BFGS-B",
            callback=after_iteration,
            options={"maxiter": max_iterations, "gtol": 0.0, "ftol": 0.0},
        )
    status = Status.CONVERGED if length <= tolerance * first else Status.ITERATION_LIMIT
    return Result(point, status, np.array(history), {"iterations": len(history) - 1.0})


class _Path:
    """F and its gradient from point to point, each lower level started at the solution of the one before."""

    def __init__(self, problem: BilevelProblem) -> None:
        self._problem = problem
        self._latest: tuple[Vector, float, Vector] | None = None
        self.y = problem.lower_start

    def value_and_gradient(self, x: Vector) -> tuple[float, Vector]:
        if self._latest is None or not np.array_equal(self._latest[0], x):
            value, gradient, self.y = hypergradient(self._problem, x, self.y)
            self._latest = x.copy(), value, gradient
        return self._latest[1:]
