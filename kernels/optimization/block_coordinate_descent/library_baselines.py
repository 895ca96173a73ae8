"""What a practitioner would call for the same problems: SciPy, scikit-learn and celer."""

import math
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from scipy.linalg import lstsq
from scipy.optimize import fmin_l_bfgs_b, lsq_linear, nnls

from kernels.linear_systems.validation import check_tolerance
from kernels.optimization.block_coordinate_descent.bounded import SparseRegression, projected_gradient
from kernels.optimization.block_coordinate_descent.objectives import (
    Regression,
    Vector,
    check_regression,
    objective_and_gradient,
)
from kernels.result import Result, Status

MOST_ITERATIONS = 100_000


def scipy_lstsq(problem: Regression, *, tolerance: float = 1e-8) -> Result:
    """The weights of least norm that minimise the squared residual, by LAPACK's complete orthogonal factorisation.

    For the squared loss without ridge; ``tolerance`` as for
    :func:`~kernels.optimization.block_coordinate_descent.descent.block_coordinate_descent`.
    """
    if problem.loss != "squared" or problem.ridge:
        raise ValueError(f"loss must be squared without ridge, not {problem.loss!r} with ridge {problem.ridge}")
    if not _is_usable(problem, tolerance):
        return _not_finite()
    weights = lstsq(problem.features, problem.targets, lapack_driver="gelsy", check_finite=False)[0]
    return _smooth_result(problem, weights, tolerance, 1)


def scipy_lbfgs(problem: Regression, *, tolerance: float = 1e-8) -> Result:
    """Limited-memory BFGS, stopped where the greatest entry of the gradient says that its norm is small enough."""
    if not _is_usable(problem, tolerance):
        return _not_finite()
    start = np.zeros(_weights(problem))
    target = tolerance * float(np.linalg.norm(objective_and_gradient(problem, start)[1]))
    weights, _, report = fmin_l_bfgs_b(partial(objective_and_gradient, problem), start, **_stops(target, start.size))
    return _smooth_result(problem, weights, tolerance, int(report["nit"]))


def sklearn_logistic(problem: Regression, *, solver: str = "lbfgs", tolerance: float = 1e-8) -> Result:
    """scikit-learn's ``LogisticRegression`` without intercept, for the logistic and the softmax loss with ridge.

    Parameters
    ----------
    problem : Regression
    solver : {"lbfgs", "newton-cholesky"}
    tolerance : float
        As for :func:`~kernels.optimization.block_coordinate_descent.descent.block_coordinate_descent`.

    Raises
    ------
    ValueError
        If the loss is the squared one or there is no ridge.
    """
    if problem.loss == "squared" or not problem.ridge:
        raise ValueError(f"loss must be logistic or softmax with a ridge, not {problem.loss!r}, {problem.ridge}")
    if not _is_usable(problem, tolerance):
        return _not_finite()
    from sklearn.linear_model import LogisticRegression

    start = objective_and_gradient(problem, np.zeros(_weights(problem)))[1]
    # its solvers compare the greatest entry of the gradient of the mean loss
    limit = tolerance * float(np.linalg.norm(start)) / (len(problem.features) * math.sqrt(start.size))
    model = LogisticRegression(
        C=1.0 / problem.ridge, fit_intercept=False, solver=solver, tol=limit, max_iter=MOST_ITERATIONS
    )
    model.fit(problem.features, problem.targets)
    return _smooth_result(problem, model.coef_.T.ravel(), tolerance, int(model.n_iter_.max()))


def celer_lasso(problem: SparseRegression, *, gap: float = 1e-12, tolerance: float = 1e-8) -> Result:
    """The nonnegative lasso by celer: coordinate descent on working sets with extrapolated dual points.

    Parameters
    ----------
    problem : SparseRegression
        With a positive penalty.
    gap : float
        The duality gap, relative to the objective at zero, at which celer stops.
    tolerance : float
        As for :func:`~kernels.optimization.block_coordinate_descent.bounded.bounded_block_coordinate_descent`.
    """
    return _lasso(problem, "celer", gap, tolerance)


def sklearn_lasso(problem: SparseRegression, *, gap: float = 1e-12, tolerance: float = 1e-8) -> Result:
    """The nonnegative lasso by scikit-learn: cyclic coordinate descent; arguments as for :func:`celer_lasso`."""
    return _lasso(problem, "sklearn", gap, tolerance)


def scipy_lbfgsb(problem: SparseRegression, *, tolerance: float = 1e-8) -> Result:
    """L-BFGS-B with the weights bounded below by zero."""
    if not _is_usable(problem, tolerance):
        return _not_finite()
    start = np.zeros(problem.features.shape[1])

    def penalised(weights: Vector) -> tuple[float, Vector]:
        residual = problem.features @ weights - problem.targets
        gradient = problem.features.T @ residual + problem.penalty
        return 0.5 * float(residual @ residual) + problem.penalty * float(weights.sum()), gradient

    target = tolerance * float(np.linalg.norm(projected_gradient(start, penalised(start)[1])))
    weights, _, report = fmin_l_bfgs_b(
        penalised, start, bounds=[(0.0, None)] * start.size, **_stops(target, start.size)
    )
    return _bounded_result(problem, weights, tolerance, int(report["nit"]))


def scipy_nonnegative(problem: SparseRegression, *, solver: str = "nnls", tolerance: float = 1e-8) -> Result:
    """SciPy's ``nnls`` (Lawson and Hanson) or ``lsq_linear`` (trust region), for problems without penalty."""
    if problem.penalty:
        raise ValueError(f"penalty must be 0 for {solver}, not {problem.penalty}")
    if solver not in ("nnls", "lsq_linear"):
        raise ValueError(f"solver must be nnls or lsq_linear, not {solver!r}")
    if not _is_usable(problem, tolerance):
        return _not_finite()
    if solver == "nnls":
        weights = nnls(problem.features, problem.targets)[0]
    else:
        weights = lsq_linear(problem.features, problem.targets, (0.0, np.inf), tol=1e-15).x
    return _bounded_result(problem, weights, tolerance, 1)


def active_set_reference(problem: SparseRegression, *, tolerance: float = 1e-8) -> Result:
    """The minimiser to rounding: ``nnls`` without penalty; with one, the normal equations on the support of celer's."""
    if not problem.penalty:
        return scipy_nonnegative(problem, tolerance=tolerance)
    found = _lasso(problem, "celer", 1e-14, tolerance)
    if found.status is Status.NOT_FINITE:
        return found
    support = np.flatnonzero(found.value > 0.0)
    columns = problem.features[:, support]
    weights = np.zeros(found.value.size)
    weights[support] = np.linalg.solve(columns.T @ columns, columns.T @ problem.targets - problem.penalty)
    return _bounded_result(problem, weights, tolerance, 1)


def _lasso(problem: SparseRegression, library: str, gap: float, tolerance: float) -> Result:
    if not problem.penalty > 0.0:
        raise ValueError(f"penalty must be positive, not {problem.penalty}")
    if not _is_usable(problem, tolerance):
        return _not_finite()
    library_module = import_module("celer" if library == "celer" else "sklearn.linear_model")
    examples = len(problem.features)
    # both divide the squared residual by the number of examples
    model = library_module.Lasso(
        problem.penalty / examples, fit_intercept=False, positive=True, tol=gap, max_iter=MOST_ITERATIONS
    )
    model.fit(np.asfortranarray(problem.features), problem.targets)
    iterations = int(np.max(model.n_iter_))
    return _bounded_result(problem, np.asarray(model.coef_, np.float64), tolerance, iterations)


def _stops(target: float, weights: int) -> dict[str, Any]:
    """Stop where the greatest entry of the gradient implies that its norm is at most the target, and not before."""
    return {"pgtol": target / math.sqrt(weights), "factr": 0.0, "maxiter": MOST_ITERATIONS, "maxfun": MOST_ITERATIONS}


def _weights(problem: Regression) -> int:
    classes = int(problem.targets.max()) + 1 if problem.loss == "softmax" else 1
    return int(problem.features.shape[1] * classes)


def _is_usable(problem: Regression | SparseRegression, tolerance: float) -> bool:
    check_regression(problem.features, problem.targets)
    check_tolerance(tolerance)
    return bool(np.isfinite(problem.features).all() and np.isfinite(problem.targets).all())


def _not_finite() -> Result:
    return Result(np.empty(0), Status.NOT_FINITE, np.array([math.nan]), {"iterations": 0})


def _smooth_result(problem: Regression, weights: Vector, tolerance: float, iterations: int) -> Result:
    start, first = objective_and_gradient(problem, np.zeros(weights.size))
    value, gradient = objective_and_gradient(problem, weights)
    return _judged(weights, (start, value), (first, gradient), tolerance, iterations)


def _bounded_result(problem: SparseRegression, weights: Vector, tolerance: float, iterations: int) -> Result:
    residual = problem.features @ weights - problem.targets
    values = (
        0.5 * float(problem.targets @ problem.targets),
        0.5 * float(residual @ residual) + problem.penalty * float(weights.sum()),
    )
    gradients = tuple(problem.features.T @ errors + problem.penalty for errors in (-problem.targets, residual))
    projected = (projected_gradient(np.zeros_like(weights), gradients[0]), projected_gradient(weights, gradients[1]))
    return _judged(weights, values, projected, tolerance, iterations)


def _judged(
    weights: Vector, values: tuple[float, float], gradients: tuple[Vector, Vector], tolerance: float, iterations: int
) -> Result:
    """CONVERGED where the gradient has fallen by the tolerance, whatever the library says."""
    first, last = (float(np.linalg.norm(gradient)) for gradient in gradients)
    status = Status.CONVERGED if last <= tolerance * first else Status.ITERATION_LIMIT
    return Result(weights, status, np.array(values), {"iterations": iterations})
