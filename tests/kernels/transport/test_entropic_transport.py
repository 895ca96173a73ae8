from dataclasses import dataclass, replace

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from kernels.result import Status
from kernels.transport.dense_newton import dense_direction, sinkhorn_newton
from kernels.transport.dual_newton import dual_point, line_search
from kernels.transport.entropic import EntropicDual, marginal_violation
from kernels.transport.libraries import exact_transport, pot_stabilised_sinkhorn
from kernels.transport.sinkhorn import log_domain_sinkhorn, stabilised_sinkhorn
from kernels.transport.sinkhorn_newton_sparse import SparseDirection, largest_entries, sinkhorn_newton_sparse

REGULARISED = [
    sinkhorn_newton_sparse,
    sinkhorn_newton,
    log_domain_sinkhorn,
    stabilised_sinkhorn,
    pot_stabilised_sinkhorn,
]
METHODS = [*REGULARISED, exact_transport]


@dataclass(frozen=True)
class Transport:
    cost: np.ndarray
    source: np.ndarray
    target: np.ndarray
    regularisation: float


def transport(rows, columns, regularisation, seed=0):
    random = np.random.default_rng(seed)
    source, target = random.random(rows) + 0.1, random.random(columns) + 0.1
    return Transport(random.random((rows, columns)), source / source.sum(), target / target.sum(), regularisation)


def assignment(points, regularisation, seed=0):
    uniform = np.full(points, 1.0 / points)
    return replace(transport(points, points, regularisation, seed), source=uniform, target=uniform)


@settings(derandomize=True, max_examples=8, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), eta=st.floats(1.0, 10.0), seed=st.integers(0, 99))
def test_every_method_finds_the_plan_of_the_optimality_conditions(rows, columns, eta, seed):
    problem = transport(rows, columns, 1.0 / eta, seed)
    for method in REGULARISED:
        result = method(problem, tolerance=1e-10)
        assert result.status is Status.CONVERGED, method
        assert marginal_violation(problem, result.value) <= 1.1e-10
        # log P + cost / eps is a sum of row and column potentials: the conditions that make the plan unique
        potentials = np.log(result.value) + problem.cost * eta
        centred = potentials - potentials.mean(axis=0) - potentials.mean(axis=1, keepdims=True) + potentials.mean()
        np.testing.assert_allclose(centred, 0.0, atol=1e-9)


def test_the_plan_is_that_of_pots_log_domain():
    problem = assignment(30, 1 / 20)
    expected = ot.sinkhorn(
        problem.source, problem.target, problem.cost, 1 / 20, method="sinkhorn_log", stopThr=1e-13, numItermax=5000
    )
    for method in REGULARISED:
        np.testing.assert_allclose(method(problem, tolerance=1e-12).value, expected, atol=1e-10)


@pytest.mark.parametrize("eta", [1e2, 1e3, 1e4, 1e5])
def test_newton_and_sinkhorn_stay_finite_at_any_regularisation(eta):
    problem = assignment(40, 1.0 / eta)
    least = problem.cost[linear_sum_assignment(problem.cost)].sum() / 40
    for method in (sinkhorn_newton_sparse, sinkhorn_newton, log_domain_sinkhorn):
        result = method(problem, max_iterations=100)
        assert np.isfinite(result.value).all()
        assert np.isfinite(result.history).all()
        if method is sinkhorn_newton_sparse and eta <= 1e3:
            assert result.status is Status.CONVERGED
            assert 0.0 <= np.vdot(result.value, problem.cost) - least + 1e-9 <= np.log(40) / eta + 2e-9


def test_the_exact_plan_is_an_optimal_assignment_and_claims_no_more():
    problem = assignment(25, 0.1)
    result = exact_transport(problem)
    assert result.status is Status.STAGNATED
    rows, columns = linear_sum_assignment(problem.cost)
    assert np.vdot(result.value, problem.cost) == pytest.approx(problem.cost[rows, columns].sum() / 25, abs=1e-14)
    assert exact_transport(problem, max_iterations=1).status is Status.ITERATION_LIMIT


def point_of(problem, sweeps=5):
    dual = EntropicDual(problem)
    columns = np.zeros(problem.target.size)
    for _ in range(sweeps):
        rows = dual.maximise_rows(columns)
        columns = dual.maximise_columns(rows)
    return dual, dual_point(dual, rows, columns)


def negative_hessian(point):
    return np.block([[np.diag(point.row_sums), point.plan], [point.plan.T, np.diag(point.column_sums)]])


@pytest.mark.parametrize("direction", [dense_direction, SparseDirection(1000.0, 1e-12, 1000)])
def test_a_direction_solves_the_newton_system(direction):
    _, point = point_of(transport(12, 9, 0.05))
    gradient = np.concatenate([point.row_gradient, point.column_gradient])
    step = np.concatenate(direction(point))
    np.testing.assert_allclose(negative_hessian(point) @ step, gradient, atol=1e-10 * np.abs(gradient).max())


def test_a_sparse_direction_solves_the_system_with_the_whole_diagonal():
    _, point = point_of(transport(12, 9, 0.05))
    kept = np.where(point.plan >= np.sort(point.plan, axis=None)[-24], point.plan, 0.0)
    matrix = negative_hessian(point)
    matrix[:12, 12:], matrix[12:, :12] = kept, kept.T
    gradient = np.concatenate([point.row_gradient, point.column_gradient])
    step = np.concatenate(SparseDirection(2.0, 1e-13, 1000)(point))
    np.testing.assert_allclose(step, np.linalg.solve(matrix, gradient), rtol=1e-8)


def test_gradient_and_hessian_are_the_derivatives_of_the_dual():
    problem = transport(4, 3, 0.2)
    dual, point = point_of(problem)

    def value(z):
        plan = np.exp(z[:4, None] + z[None, 4:] - problem.cost / problem.regularisation)
        return problem.source @ z[:4] + problem.target @ z[4:] - plan.sum()

    z = np.concatenate([point.row_potential, point.column_potential])
    gradient = np.concatenate([point.row_gradient, point.column_gradient])
    width = 1e-5 * np.eye(7)
    np.testing.assert_allclose([(value(z + h) - value(z - h)) / 2e-5 for h in width], gradient, atol=1e-9)
    hessian = negative_hessian(point)
    for h, row in zip(width, hessian, strict=True):
        ahead, behind = (dual_point(dual, *np.split(z + sign * h, [4])) for sign in (1, -1))
        rows, columns = ahead.row_gradient - behind.row_gradient, ahead.column_gradient - behind.column_gradient
        np.testing.assert_allclose(np.concatenate([rows, columns]) / -2e-5, row, atol=1e-8)


def test_the_largest_entries_are_those_of_a_sort():
    plan = np.random.default_rng(1).random((7, 5)) ** 8
    pointers, columns, values = largest_entries(plan, 11)
    rows = np.repeat(np.arange(7), np.diff(pointers))
    expected = np.sort(np.argsort(plan, axis=None)[-11:])
    np.testing.assert_array_equal(rows * 5 + columns, expected)
    np.testing.assert_array_equal(values, plan.ravel()[expected])


def test_more_entries_than_rounding_leaves_are_not_kept():
    plan = np.eye(6) + 1e-30
    pointers, columns, _ = largest_entries(plan, 36)
    assert columns.tolist() == pointers[:-1].tolist() == list(range(6))


def test_a_line_search_refuses_a_descent_and_shortens_a_step_that_overshoots():
    dual, point = point_of(transport(6, 6, 0.01), sweeps=1)
    rows, columns = dense_direction(point)
    assert line_search(dual, point, -rows, -columns) == (None, 0)
    assert line_search(dual, point, np.full(6, np.nan), columns)[0] is None
    shortened, trials = line_search(dual, point, 1e6 * rows, 1e6 * columns)
    assert shortened is not None
    assert trials >= 1
    assert np.isfinite(shortened.plan).all()


def test_newton_needs_far_fewer_iterations_and_converges_super_linearly():
    problem = assignment(100, 1 / 240)
    newton, sinkhorn = sinkhorn_newton_sparse(problem, kept_per_row=8.0), stabilised_sinkhorn(problem)
    assert 20 * newton.work["iterations"] < sinkhorn.work["iterations"]
    reductions = newton.history[-3:] / newton.history[-4:-1]
    assert reductions[-1] < 0.1 * reductions[0]
    assert newton.work["discarded_mass"] < 1e-4
    assert newton.work["cg_products"] >= newton.work["newton_steps"]


def test_newton_with_too_few_entries_still_converges_but_slowly():
    problem = assignment(100, 1 / 240)
    sparse, sparser = (sinkhorn_newton_sparse(problem, kept_per_row=kept) for kept in (8.0, 1.5))
    assert sparser.status is Status.CONVERGED
    assert sparser.work["newton_steps"] > 2 * sparse.work["newton_steps"]


def test_histories_of_both_domains_are_the_same_iteration():
    problem = transport(8, 6, 0.05)
    logs, kernels = log_domain_sinkhorn(problem), stabilised_sinkhorn(problem)
    # the one starts from its first row update, the other from its first column update: compare the problem's mirror
    mirrored = stabilised_sinkhorn(replace(problem, cost=problem.cost.T, source=problem.target, target=problem.source))
    np.testing.assert_allclose(logs.history[1:20], mirrored.history[1:20], rtol=1e-6)
    assert kernels.history.size == kernels.work["iterations"] + 1


@pytest.mark.parametrize("method", REGULARISED)
def test_a_limit_of_iterations_is_kept_and_named(method):
    result = method(assignment(60, 1 / 2000), max_iterations=7, tolerance=1e-12)
    assert result.status is Status.ITERATION_LIMIT
    assert result.work["iterations"] <= 7
    assert np.isfinite(result.value).all()


def test_a_kernel_that_underflows_is_a_breakdown_and_not_a_warning():
    problem = replace(transport(3, 3, 1e-4), cost=np.ones((3, 3)))
    result = stabilised_sinkhorn(problem)
    assert result.status is Status.BREAKDOWN
    assert sinkhorn_newton_sparse(problem).status is Status.CONVERGED


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("field", ["cost", "source", "target"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_data_that_are_not_finite_give_a_result_that_says_so(method, field, bad):
    problem = transport(3, 4, 0.1)
    values = getattr(problem, field).copy()
    values.flat[1] = bad
    assert method(replace(problem, **{field: values})).status is Status.NOT_FINITE


BAD_PROBLEMS = [
    ({"cost": np.ones(3)}, "cost must be a matrix"),
    ({"cost": np.ones((3, 4), np.float32)}, "cost must be float64, not float32"),
    ({"cost": np.ones((0, 4))}, "cost must be a matrix that is not empty"),
    ({"source": np.ones(4) / 4}, r"source must have shape \(3,\), not \(4,\)"),
    ({"target": np.ones(4, int)}, "target must be float64, not int64"),
    ({"target": np.array([0.5, 0.5, 0.0, 0.0])}, "target must be positive; its least entry is 0.0"),
    ({"source": np.ones(3)}, "must have the same total, not 3.0 and"),
    ({"regularisation": 0.0}, "regularisation must be positive and finite, not 0.0"),
    ({"regularisation": np.nan}, "regularisation must be positive and finite, not nan"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("change", "message"), BAD_PROBLEMS)
def test_impossible_problems_are_refused(method, change, message):
    with pytest.raises(ValueError, match=message):
        method(replace(transport(3, 4, 0.1), **change))


@pytest.mark.parametrize("method", REGULARISED)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": 0.0}, "tolerance must be positive and finite, not 0.0"),
        ({"tolerance": np.nan}, "tolerance must be positive"),
        ({"max_iterations": 0}, "max_iterations must be an integer at least 1, not 0"),
    ],
)
def test_impossible_options_are_refused(method, options, message):
    with pytest.raises(ValueError, match=message):
        method(transport(3, 4, 0.1), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"warm_up": 0}, "warm_up must be an integer at least 1, not 0"),
        ({"kept_per_row": 0.0}, "kept_per_row must be positive and finite, not 0.0"),
        ({"kept_per_row": np.nan}, "kept_per_row must be positive"),
        ({"cg_tolerance": 1.0}, "cg_tolerance must lie between 0 and 1, not 1.0"),
        ({"max_cg_iterations": 0}, "max_cg_iterations must be an integer at least 1"),
    ],
)
def test_impossible_options_of_the_sparse_method_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sinkhorn_newton_sparse(transport(3, 4, 0.1), **options)
