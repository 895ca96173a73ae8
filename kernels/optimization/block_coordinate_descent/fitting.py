"""Any of the solvers on one model, valued by what the fitted model predicts: what contenders call."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from kernels.optimization.block_coordinate_descent.bounded import SparseRegression, bounded_block_coordinate_descent
from kernels.optimization.block_coordinate_descent.descent import block_coordinate_descent
from kernels.optimization.block_coordinate_descent.library_baselines import (
    active_set_reference,
    celer_lasso,
    scipy_lbfgs,
    scipy_lbfgsb,
    scipy_lstsq,
    scipy_nonnegative,
    sklearn_lasso,
    sklearn_logistic,
)
from kernels.optimization.block_coordinate_descent.objectives import Regression, objective_value
from kernels.result import Result, Status


class Model(Regression, SparseRegression, Protocol):
    """What every solver takes."""


SOLVERS: Mapping[str, Callable[..., Result]] = MappingProxyType(
    {
        "block_coordinate_descent": block_coordinate_descent,
        "bounded_block_coordinate_descent": bounded_block_coordinate_descent,
        "scipy_lstsq": scipy_lstsq,
        "scipy_lbfgs": scipy_lbfgs,
        "sklearn_logistic": sklearn_logistic,
        "celer_lasso": celer_lasso,
        "sklearn_lasso": sklearn_lasso,
        "scipy_lbfgsb": scipy_lbfgsb,
        "scipy_nonnegative": scipy_nonnegative,
        "active_set_reference": active_set_reference,
    }
)


def fit(problem: Model, *, method: str, **options: Any) -> Result:
    """Fit a model by the solver of a name.

    Where there are fewer examples than features the minimising weights need not be unique, but what they predict is.

    Parameters
    ----------
    problem : Model
    method : str
        One of :data:`SOLVERS`.
    **options
        Of the solver.

    Returns
    -------
    Result
        The solver's, but ``value`` is the predictions, shape (n,) or, for softmax, (n k,), and ``work`` has the
        ``relative_objective``: the objective at the solver's weights, computed anew from the data, relative to that at
        zero.

    Raises
    ------
    ValueError
        If the name is unknown, or the solver refuses its input.
    """
    if method not in SOLVERS:
        raise ValueError(f"method must be one of {', '.join(SOLVERS)}, not {method!r}")
    result = SOLVERS[method](problem, **options)
    if result.status is Status.NOT_FINITE:
        return result
    weights = result.value
    predictions = problem.features @ weights.reshape(problem.features.shape[1], -1)
    objective = objective_value(problem, weights) + problem.penalty * float(np.sum(weights))
    relative = objective / objective_value(problem, np.zeros(weights.size))
    return replace(result, value=predictions.ravel(), work={**result.work, "relative_objective": relative})
