"""What practitioners use: POT's stabilised Sinkhorn and its exact network simplex."""

import warnings

import numpy as np

from kernels.linear_systems.validation import check_count, check_tolerance
from kernels.result import Result, Status
from kernels.transport.entropic import EntropicTransport, check_transport, marginal_violation
from kernels.transport.sinkhorn import not_finite

CHECK_PERIOD = 100


def pot_stabilised_sinkhorn(
    problem: EntropicTransport, *, tolerance: float = 1e-9, max_iterations: int = 100_000
) -> Result:
    """Solve entropic transport by ``ot.bregman.sinkhorn_stabilized``.

    POT looks at the Euclidean norm of the column sums' error; it is asked for ``tolerance / sqrt(m)``, which bounds the
    1-norm by the tolerance. It looks every hundredth iteration, as a look costs as much as several iterations.

    Parameters
    ----------
    problem : EntropicTransport
    tolerance : float
        CONVERGED means :func:`~kernels.transport.entropic.marginal_violation` is at most that.
    max_iterations : int

    Returns
    -------
    Result
        The plan, shape (n, m). ``history`` holds the violation of the plan alone; ``work`` counts ``iterations``.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape or range.
    """
    import ot

    check_tolerance(tolerance)
    check_count("max_iterations", max_iterations, 1)
    if not check_transport(problem):
        return not_finite(problem)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # the status says the same
        plan, log = ot.bregman.sinkhorn_stabilized(
            problem.source,
            problem.target,
            problem.cost,
            problem.regularisation,
            numItermax=max_iterations,
            print_period=CHECK_PERIOD,
            stopThr=tolerance / np.sqrt(problem.target.size),
            log=True,
        )
    violation = marginal_violation(problem, plan)
    if not np.isfinite(violation):
        status = Status.NOT_FINITE
    else:
        status = Status.CONVERGED if violation <= tolerance else Status.ITERATION_LIMIT
    return Result(plan, status, np.array([violation]), {"iterations": log["n_iter"] + 1})


def exact_transport(problem: EntropicTransport, *, max_iterations: int = 10**7) -> Result:
    """Solve transport without the entropy exactly by ``ot.emd``, the limit of no regularisation.

    Parameters
    ----------
    problem : EntropicTransport
        Its regularisation is ignored.
    max_iterations : int
        The limit on pivots.

    Returns
    -------
    Result
        The plan, shape (n, m), a vertex. Status is STAGNATED, for no exact solver comes closer to the regularised plan
        that the problem asks for, or ITERATION_LIMIT.

    Raises
    ------
    ValueError
        If an argument has a wrong type, shape or range.

    References
    ----------
    .. [1] N. Bonneel, M. van de Panne, S. Paris, W. Heidrich, "Displacement interpolation using Lagrangian mass
       transport", ACM Trans. Graph. 30(6), 2011.
    """
    import ot

    check_count("max_iterations", max_iterations, 1)
    if not check_transport(problem):
        return not_finite(problem)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan, log = ot.emd(problem.source, problem.target, problem.cost, numItermax=max_iterations, log=True)
    status = Status.STAGNATED if log["result_code"] == 1 else Status.ITERATION_LIMIT
    return Result(plan, status, np.array([marginal_violation(problem, plan)]), {})
