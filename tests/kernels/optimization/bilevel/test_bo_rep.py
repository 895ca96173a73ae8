"""BO-REP's own parts: steps of one length, a lower variable that rests, a refined start."""

from itertools import pairwise

import numpy as np
import pytest

from data.optimization.bilevel.analytic import CoshBilevel, QuadraticBlocks
from data.problem import make_fields
from kernels.budget import Budget
from kernels.optimization.bilevel.bo_rep import bo_rep, descend, refine
from kernels.optimization.bilevel.oracles import Oracles


class Recording:
    """A problem that remembers where its oracles were asked."""

    def __init__(self, problem):
        self._problem = problem
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._problem, name)

    def cross_product(self, x, y, v, blocks, minibatch=None):
        self.asked.append((x.copy(), y.copy(), v.copy()))
        return self._problem.cross_product(x, y, v, blocks, minibatch)


def cosh(**options):
    problem = CoshBilevel(dimension=5, **options)
    return problem.assemble(make_fields(problem, 0, 0))


def recorded(iterations=24, noise=0.5, **options):
    recording = Recording(cosh(noise=noise))
    given = {"step": 0.01, "lower_step": 0.1, "system_step": 0.1, **options}
    bo_rep(recording, random=np.random.default_rng(0), budget=Budget({"iterations": iterations}), **given)
    return recording.asked


def test_every_step_has_the_same_length_though_the_gradients_do_not():
    lengths = [np.linalg.norm(after[0] - before[0]) for before, after in pairwise(recorded())]
    np.testing.assert_allclose(lengths, 0.01)


def test_y_rests_between_periods_while_z_moves_in_every_iteration():
    asked = recorded(period=4)
    moved = [t for t, (before, after) in enumerate(pairwise(asked), 1) if (before[1] != after[1]).any()]
    assert moved == [4, 8, 12, 16, 20]
    assert all((before[2] != after[2]).any() for before, after in pairwise(asked))


def test_the_momentum_is_normalised_and_not_the_stochastic_gradient():
    def least_cosine(momentum):
        asked = recorded(momentum=momentum, noise=5.0)
        directions = [(after[0] - before[0]) / 0.01 for before, after in pairwise(asked)]
        return min(a @ b for a, b in pairwise(directions[8:]))

    assert least_cosine(0.99) > 0.8
    assert least_cosine(0.0) < 0.5


def test_refinement_brings_y_close_to_the_solution():
    instance = cosh()
    oracles = Oracles(instance, Budget({"oracle_calls": 10_000}), np.random.default_rng(0))
    x = instance.upper_start
    solution = instance.lower_solutions(x)
    refined = refine(oracles, x, instance.lower_start, 4, 32, 0.1, 10.0)
    assert np.linalg.norm(refined - solution) < 0.1 * np.linalg.norm(solution)
    assert oracles.budget.spent["lower_gradients"] == 32 + 64 + 128 + 256


def test_descent_stays_in_its_ball():
    instance = cosh()
    oracles = Oracles(instance, Budget({"oracle_calls": 10_000}), np.random.default_rng(0))
    last, mean = descend(oracles, instance.upper_start, instance.lower_start, 50, 0.1, radius=0.2)
    assert np.linalg.norm(last) == pytest.approx(0.2)
    assert np.linalg.norm(mean) < 0.2


def test_calls_are_counted_at_their_prices():
    budget = Budget({"oracle_calls": 16 + 2 * (2 + 2 + 1) + 2})
    options = {"step": 0.01, "lower_step": 0.1, "system_step": 0.1, "period": 2, "lower_steps": 2}
    refinement = {"refinement_epochs": 1, "refinement_steps": 16}
    bo_rep(cosh(), random=np.random.default_rng(0), budget=budget, **options, **refinement)
    assert budget.spent == {"oracle_calls": 28.0, "lower_gradients": 18.0, "iterations": 3.0}


def test_many_blocks_are_taken_as_one():
    problem = QuadraticBlocks(blocks=4)
    instance = problem.assemble(make_fields(problem, 0, 0))
    options = {"step": 0.01, "lower_step": 0.1, "system_step": 0.1}
    budget = Budget({"oracle_calls": 20_000})
    result = bo_rep(instance, random=np.random.default_rng(0), budget=budget, batch=4, **options)
    assert result.history[-1] < 0.5 * result.history[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"momentum": 1.0}, "momentum"),
        ({"period": 0}, "period"),
        ({"lower_steps": 0}, "lower_steps"),
        ({"radius": 0.0}, "radius"),
        ({"refinement_epochs": -1}, "refinement_epochs"),
        ({"refinement_steps": 0}, "refinement_steps"),
        ({"system_step": float("inf")}, "system_step"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        recorded(**options)
