"""Verifying instances one by one: made again from the seed, their residuals computed from the stored solution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from data.evolution import Evolution
from data.linear_system import LinearSystem
from kernels.result import Status
from tasks.contenders import status_code
from tasks.datasets import RESIDUAL, SOLUTION, STATUS, DataSet
from tasks.storage import round_mantissa, rounding_error

Arrays = Mapping[str, NDArray[Any]]
Bits = Mapping[str, int | None]

UNIT_ROUNDOFF = 2.0**-53
REGENERATED = 1e-12  # other processors and versions of NumPy round the same draws differently, relative to the largest


@dataclass(frozen=True)
class Check:
    """One thing that was verified."""

    name: str
    passed: bool
    detail: str


def check_parameters(data_set: DataSet, sampled: Mapping[int, Arrays], bits: Bits) -> Check:
    """Whether the stored parameters of sampled instances are those that problem, seed and index yield.

    Parameters
    ----------
    data_set : DataSet
    sampled : mapping
        Index -> the stored arrays of the instance.
    bits : mapping
        Variable -> the mantissa bits that were kept of it; None or absent: all.
    """
    identical, different = 0, []
    for index, stored in sorted(sampled.items()):
        made = _made_again(data_set, index)
        encoded = {name: _rounded(values, bits.get(name)) for name, values in made.items()}
        if all(np.array_equal(stored[name], values) for name, values in encoded.items() if name in stored):
            identical += 1
        elif not all(name in stored and _close(stored[name], made[name], bits.get(name)) for name in made):
            different.append(index)
    told = f"{identical} of {len(sampled)} sampled instances made again bit by bit"
    if different:
        return Check("parameters", False, f"{told}; instances {different[:5]} differ")
    return Check("parameters", True, told + (", the others to rounding" if identical < len(sampled) else ""))


def check_residuals(data_set: DataSet, sampled: Mapping[int, Arrays], bits: Bits, tolerance: float) -> Check:
    """Whether stored solutions solve the assembled systems, to the stored residual and to the tolerance.

    Of a solution that was rounded for storage, the residual may exceed the stored one by as much as the rounding can
    make it: ``||abs(A) abs(x)|| / ||b||`` times the relative error. Where the parameters were rounded, the systems are
    assembled from the parameters made again.

    Parameters
    ----------
    data_set, sampled, bits
        As in :func:`check_parameters`.
    tolerance : float
        What every instance that is marked as converged must satisfy.
    """
    wrong, largest, solved = [], 0.0, 0
    parameters = data_set.problem.variables()
    rounded = any(bits.get(name) is not None for name in parameters)
    for index, stored in sorted(sampled.items()):
        if stored[STATUS] != status_code(Status.CONVERGED):
            continue
        solved += 1
        fields = _made_again(data_set, index) if rounded else {name: stored[name] for name in parameters}
        residuals, allowances = residuals_of(data_set.problem.assemble(fields), stored[SOLUTION], bits.get(SOLUTION))
        worst, allowance = float(residuals.max()), float(allowances.max())
        largest = max(largest, worst)
        stated = float(stored.get(RESIDUAL, residuals.max()))
        if not (abs(worst - stated) <= allowance and worst <= tolerance + allowance):
            wrong.append(f"instance {index}: {worst:.2e}, stated is {stated:.2e}, tolerance {tolerance:.0e}")
    told = f"{solved} sampled solutions solve their systems, largest relative residual {largest:.2e}"
    return Check("residuals", not wrong, "; ".join(wrong[:5]) or told)


def residuals_of(
    instance: LinearSystem | Evolution, solution: NDArray[Any], bits: int | None
) -> tuple[NDArray[np.float64], ...]:
    """The true relative residual of a stored solution, of every step where it is a trajectory, and its uncertainty.

    The first of a trajectory is the relative distance of its beginning from the initial state.

    Parameters
    ----------
    instance : LinearSystem or Evolution
    solution : ndarray
        Of the shape of the unknowns, or (steps + 1, ...) with the initial state first.
    bits : int or None
        The mantissa bits that were kept of it.

    Returns
    -------
    residuals, allowances : ndarray, shape (1,) or (steps + 1,), float64
        What rounding of the solution, and of the products themselves, can change in each.
    """
    error = 0.0 if bits is None else rounding_error(bits)
    if isinstance(instance, LinearSystem):
        return tuple(np.array([value]) for value in _residual(instance, solution.ravel().astype(np.float64), error))
    states = list(solution.reshape(len(solution), -1).astype(np.float64))
    size = float(np.linalg.norm(instance.initial)) or 1.0
    pairs = [(float(np.linalg.norm(states[0] - instance.initial)) / size, error + UNIT_ROUNDOFF)]
    for step in range(1, len(states)):
        # The system was made from states before they were rounded, which changes it by about as much as the solution.
        residual, allowance = _residual(instance.system(states[:step]), states[step], 2.0 * error)
        pairs.append((residual, allowance + 2.0 * error))
    return tuple(np.array(pairs).T)


def _residual(system: LinearSystem, solution: NDArray[np.float64], error: float) -> tuple[float, float]:
    """The relative residual and what relative errors of the solution and of the arithmetic can change in it."""
    size = float(np.linalg.norm(system.rhs)) or 1.0
    magnitude = float(np.linalg.norm(abs(system.matrix) @ np.abs(solution))) / size
    arithmetic = 2.0 * (int(np.diff(system.matrix.indptr).max()) + 2) * UNIT_ROUNDOFF
    residual = float(np.linalg.norm(system.rhs - system.matrix @ solution)) / size
    return residual, error * magnitude + arithmetic * (magnitude + 1.0)


def _made_again(data_set: DataSet, index: int) -> dict[str, NDArray[Any]]:
    with threadpool_limits(1):  # as when the data set was made
        return data_set.draw(index)


def _rounded(values: NDArray[Any], bits: int | None) -> NDArray[Any]:
    return values if bits is None else round_mantissa(values, bits)


def _close(stored: NDArray[Any], made: NDArray[Any], bits: int | None) -> bool:
    values = np.asarray(made)
    if stored.shape != values.shape:
        return False
    error = 0.0 if bits is None else rounding_error(bits)
    return bool(
        np.all(np.abs(stored - values) <= error * np.abs(values) + REGENERATED * np.abs(values).max(initial=0.0))
    )
