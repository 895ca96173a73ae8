"""How a run is followed, and how calls are charged."""

import numpy as np
import pytest

from data.optimization.bilevel.analytic import QuadraticBlocks
from data.problem import make_fields
from kernels.budget import Budget
from kernels.optimization.bilevel.moving_average import ma_soba
from kernels.optimization.bilevel.oracles import BudgetSpentError, Oracles
from kernels.optimization.bilevel.run import CHECKPOINTS, follow
from kernels.result import Status


class Line:
    """A problem whose progress is the distance of x from zero."""

    blocks = 1
    upper_start = np.array([4.0])
    lower_start = np.zeros((1, 1))
    strong_convexity = 1.0

    def progress(self, x, y):
        return float(abs(x[0]))


def walk(points, budget, target=None):
    return follow(Line(), ((np.array([float(point)]), np.zeros((1, 1))) for point in points), budget, target)


def test_the_history_holds_each_hundredth_of_the_budget_and_the_value_the_mean_of_the_last_tenth():
    result = walk(range(400, -1, -1), Budget({"iterations": 400}))
    np.testing.assert_array_equal(result.history, np.arange(400, -1, -4))
    assert result.value[0] == np.arange(36, -1, -4).mean()
    assert result.status is Status.CONVERGED
    assert result.work == {"iterations": 400.0}


def test_a_run_that_gets_no_closer_has_stagnated():
    assert walk(range(401), Budget({"iterations": 400})).status is Status.STAGNATED


def test_a_run_that_leaves_the_finite_numbers_stays_where_it_was_last_finite():
    result = walk([4.0] * 50 + [np.inf] * 100, Budget({"iterations": 100}))
    assert result.status is Status.NOT_FINITE
    np.testing.assert_array_equal(result.history, np.full(CHECKPOINTS + 1, 4.0))


def test_the_target_is_that_of_the_running_mean():
    result = walk([4.0, 2.0, 0.0, 0.0, 0.0, 0.0], Budget({"iterations": 1000}), target=1.5)
    assert result.status is Status.CONVERGED
    assert result.work == {"iterations": 3.0}


def test_oracles_cost_what_they_should_for_each_sample_of_each_block():
    problem = QuadraticBlocks(blocks=6, upper_dimension=4, lower_dimension=3)
    instance = problem.assemble(make_fields(problem, 0, 0))
    budget = Budget({"oracle_calls": 1000})
    oracles = Oracles(instance, budget, np.random.default_rng(0), batch=5, sampled_blocks=2)
    x, y = instance.upper_start, instance.lower_start
    blocks = oracles.sample_blocks()
    assert blocks.size == 2
    lower, upper = oracles.draw_lower(blocks), oracles.draw_upper(blocks)
    prices = []
    for call in (
        lambda: oracles.upper_gradient(x, y, upper),
        lambda: oracles.lower_gradient(x, y, lower),
        lambda: oracles.hessian_product(x, y, y[blocks], lower),
        lambda: oracles.cross_product(x, y, y[blocks], lower),
        lambda: oracles.lower_hessian(x, y, lower),
    ):
        before = budget.spent["oracle_calls"]
        call()
        prices.append((budget.spent["oracle_calls"] - before) / (5 * 2))
    assert prices == [1, 1, 2, 2, 6]
    assert budget.spent["lower_gradients"] == 10


def test_a_call_too_many_is_refused_and_not_charged():
    problem = QuadraticBlocks(blocks=2)
    instance = problem.assemble(make_fields(problem, 0, 0))
    budget = Budget({"oracle_calls": 3})
    oracles = Oracles(instance, budget, np.random.default_rng(0))
    lower = oracles.draw_lower(oracles.all_blocks)
    oracles.lower_gradient(instance.upper_start, instance.lower_start, lower)
    with pytest.raises(BudgetSpentError):
        oracles.lower_gradient(instance.upper_start, instance.lower_start, lower)
    assert budget.spent["oracle_calls"] == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("upper_start", np.zeros(0)),
        ("upper_start", np.zeros(2, dtype=np.float32)),
        ("lower_start", np.zeros((2, 1))),
        ("strong_convexity", 0.0),
    ],
)
def test_a_problem_that_does_not_fit_itself_is_refused(name, value):
    problem = Line()
    setattr(problem, name, value)
    with pytest.raises(ValueError, match=name):
        Oracles(problem, Budget({"oracle_calls": 5}), np.random.default_rng(0))


def test_clipping_bounds_the_step_and_no_more():
    problem = QuadraticBlocks(blocks=4)
    instance = problem.assemble(make_fields(problem, 0, 0))

    def first_step(**options):
        steps = {"step": 0.5, "lower_step": 0.1, "system_step": 0.1, "momentum": 0.0, **options}
        budget = Budget({"iterations": 2})
        return ma_soba(instance, random=np.random.default_rng(0), budget=budget, **steps).value

    free, bounded, loose = first_step(), first_step(clip=1e-3), first_step(clip=1e9)
    np.testing.assert_array_equal(free, loose)
    assert np.linalg.norm(bounded - instance.upper_start) <= 2 * 0.5 * 1e-3
    with pytest.raises(ValueError, match="clip"):
        first_step(clip=0.0)
    with pytest.raises(ValueError, match="momentum"):
        first_step(momentum=1.0)
    with pytest.raises(ValueError, match="decay"):
        first_step(decay=-1.0)
