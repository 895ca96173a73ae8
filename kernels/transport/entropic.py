"""Optimal transport with entropic regularisation, and its dual."""

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Plan = NDArray[np.float64]

LEAST_EXPONENT = -700.0  # e^-700 is nothing in a sum, but exponentials that underflow take ten times as long
_BALANCE = 1e-12  # the rounding in which two totals may differ


class EntropicTransport(Protocol):
    """Minimise ``<cost, P> + regularisation * sum P (log P - 1)`` over plans P >= 0 with given marginals."""

    @property
    def cost(self) -> NDArray[np.float64]:
        """The cost of moving a unit of mass from i to j, shape (n, m), float64."""
        ...

    @property
    def source(self) -> Vector:
        """The row sums of the plan, positive, shape (n,), float64."""
        ...

    @property
    def target(self) -> Vector:
        """The column sums of the plan, positive, of the same total, shape (m,), float64."""
        ...

    @property
    def regularisation(self) -> float:
        """The weight of the entropy, in units of the cost; the papers on Sinkhorn-Newton call its inverse eta."""
        ...


def check_transport(problem: EntropicTransport) -> bool:
    """Check a problem and say whether all of its numbers are finite.

    Raises
    ------
    ValueError
        If an array has a wrong shape or type, a mass is not positive, the totals differ or the regularisation is not
        positive and finite; the message names it.
    """
    if problem.cost.ndim != 2 or problem.cost.size == 0:
        raise ValueError(f"cost must be a matrix that is not empty, not of shape {problem.cost.shape}")
    if problem.cost.dtype != np.float64:
        raise ValueError(f"cost must be float64, not {problem.cost.dtype}")
    for name, masses, size in zip(
        ("source", "target"), (problem.source, problem.target), problem.cost.shape, strict=True
    ):
        if masses.shape != (size,):
            raise ValueError(f"{name} must have shape ({size},), not {masses.shape}")
        if masses.dtype != np.float64:
            raise ValueError(f"{name} must be float64, not {masses.dtype}")
        if (masses <= 0.0).any():
            raise ValueError(f"{name} must be positive; its least entry is {np.nanmin(masses)}")
    if not (problem.regularisation > 0.0 and math.isfinite(problem.regularisation)):
        raise ValueError(f"regularisation must be positive and finite, not {problem.regularisation}")
    if not all(np.isfinite(array).all() for array in (problem.cost, problem.source, problem.target)):
        return False
    supply, demand = problem.source.sum(), problem.target.sum()
    if abs(supply - demand) > _BALANCE * supply:
        raise ValueError(f"source and target must have the same total, not {supply} and {demand}")
    return True


def marginal_violation(problem: EntropicTransport, plan: Plan) -> float:
    """``||P 1 - source||_1 + ||P^T 1 - target||_1``."""
    rows, columns = plan.sum(axis=1) - problem.source, plan.sum(axis=0) - problem.target
    return float(np.abs(rows).sum() + np.abs(columns).sum())


class EntropicDual:
    """The concave dual ``source . u + target . v - sum P(u, v)`` with ``P(u, v)_ij = exp(u_i + v_j - cost_ij / eps)``.

    Potentials are in units of the regularisation eps, so that neither it nor its inverse appears in gradient and
    Hessian. The gradient is ``(source - P 1, target - P^T 1)``.

    Parameters
    ----------
    problem : EntropicTransport
        Checked.
    """

    def __init__(self, problem: EntropicTransport) -> None:
        self.source, self.target = problem.source, problem.target
        self._scaled_cost = problem.cost / problem.regularisation
        self._log_source, self._log_target = np.log(problem.source), np.log(problem.target)
        self._buffer = np.empty_like(self._scaled_cost)

    def plan(self, row_potential: Vector, column_potential: Vector) -> Plan:
        """``P(u, v)``, shape (n, m), in memory that the next call of any method overwrites."""
        np.subtract(row_potential[:, np.newaxis], self._scaled_cost, out=self._buffer)
        self._buffer += column_potential
        return self._exponential()

    def maximise_rows(self, column_potential: Vector) -> Vector:
        """The row potential at which the row sums are the source."""
        return self._log_source - self._log_sums(column_potential[np.newaxis, :], axis=1)

    def maximise_columns(self, row_potential: Vector) -> Vector:
        """The column potential at which the column sums are the target."""
        return self._log_target - self._log_sums(row_potential[:, np.newaxis], axis=0)

    def _log_sums(self, potential: Vector, axis: int) -> Vector:
        """The logarithms of the sums of ``exp(potential - cost / eps)``, their greatest terms factored out."""
        np.subtract(potential, self._scaled_cost, out=self._buffer)
        greatest = self._buffer.max(axis=axis, keepdims=True)
        self._buffer -= greatest
        self._exponential()
        log_sums: Vector = np.log(self._buffer.sum(axis=axis)) + greatest.squeeze(axis)
        return log_sums

    def _exponential(self) -> Plan:
        np.maximum(self._buffer, LEAST_EXPONENT, out=self._buffer)
        return np.exp(self._buffer, out=self._buffer)
