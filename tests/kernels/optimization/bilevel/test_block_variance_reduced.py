"""The estimators of BSVRB and RSVRB, and which points they are asked at."""

from itertools import pairwise

import numpy as np
import pytest

from data.optimization.bilevel.analytic import QuadraticBlocks
from data.problem import make_fields
from kernels.budget import Budget
from kernels.optimization.bilevel.block_variance_reduced import (
    bsvrb,
    projected,
    rsvrb,
    track_randomised,
    track_sampled,
)

STEPS = {"step": 0.1, "lower_step": 0.1}


def quadratic(**options):
    problem = QuadraticBlocks(**{"blocks": 8, "upper_dimension": 4, "lower_dimension": 3, **options})
    return problem.assemble(make_fields(problem, 0, 0))


class Recording:
    """A problem that remembers where the lower gradients were asked, and on what minibatch."""

    def __init__(self, problem):
        self._problem = problem
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._problem, name)

    def lower_gradient(self, x, y, blocks, minibatch=None):
        self.asked.append((x.copy(), y.copy(), blocks, minibatch))
        return self._problem.lower_gradient(x, y, blocks, minibatch)


def recorded(method=bsvrb, **options):
    recording = Recording(quadratic())
    given = {**STEPS, "sampled_blocks": 3, "batch": 2, **options}
    method(recording, random=np.random.default_rng(0), budget=Budget({"iterations": 12}), **given)
    return recording.asked


def test_one_block_of_one_is_storm():
    random = np.random.default_rng(0)
    now, before, old = random.standard_normal((3, 1, 4))
    estimates = old.copy()
    track_sampled(estimates, np.zeros(1, int), now, before, 0.3, 1.0)
    np.testing.assert_allclose(estimates, now + 0.7 * (old - before), rtol=1e-14)


def test_the_correction_has_the_term_of_blocks_that_are_not_sampled():
    estimates = np.array([[1.0], [2.0], [3.0], [4.0], [5.0]])
    blocks = np.array([1, 3])
    now, before = np.array([[10.0], [20.0]]), np.array([[9.0], [18.0]])
    track_sampled(estimates, blocks, now, before, 0.2, 2 / 5)
    correction = (5 - 2) / (2 * 0.8) + 0.8
    expected = [1.0, 0.8 * 2.0 + 0.2 * 10.0 + correction, 3.0, 0.8 * 4.0 + 0.2 * 20.0 + 2.0 * correction, 5.0]
    np.testing.assert_allclose(estimates[:, 0], expected, rtol=1e-14)


def test_sampled_tracking_follows_a_drift_that_it_sees_at_a_few_steps_alone():
    random = np.random.default_rng(0)
    m, sampled, rate = 10, 2, 0.01
    corrected, plain = np.zeros((m, 1)), np.zeros((m, 1))
    errors = []
    for t in range(1, 2000):
        blocks = random.choice(m, sampled, replace=False)
        now, before = np.full((sampled, 1), rate * t), np.full((sampled, 1), rate * (t - 1))
        track_sampled(corrected, blocks, now, before, 0.05, sampled / m)
        track_sampled(plain, blocks, now, before, 0.05, 1.0)
        errors.append((corrected.mean() - rate * t, plain.mean() - rate * t))
    bias = np.abs(np.mean(errors[500:], axis=0))
    assert bias[0] < 0.2 * bias[1]


def test_randomised_tracking_is_unbiased_on_what_stands_still():
    random = np.random.default_rng(0)
    truth = random.standard_normal((6, 2))
    estimates, total = truth.copy(), np.zeros_like(truth)
    for _ in range(4000):
        blocks = random.choice(6, 2, replace=False)
        track_randomised(estimates, blocks, truth[blocks], truth[blocks], 0.1, 2 / 6)
        total += estimates
    np.testing.assert_allclose(total / 4000, truth, atol=0.15)


def test_projected_matrices_are_symmetric_with_bounded_eigenvalues_and_the_nearest():
    matrices = np.random.default_rng(0).standard_normal((5, 4, 4))
    found = projected(matrices, 0.5)
    np.testing.assert_allclose(found, found.transpose(0, 2, 1), atol=1e-14)
    assert np.linalg.eigvalsh(found).min() >= 0.5 - 1e-12
    definite = matrices @ matrices.transpose(0, 2, 1) + np.eye(4)
    np.testing.assert_allclose(projected(definite, 0.5), definite, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (bsvrb, {}),
        (bsvrb, {"system_step": 0.1}),
        (bsvrb, {"system_step": 0.1, "move_all": False}),
        (rsvrb, {"system_step": 0.1}),
    ],
)
def test_both_points_are_asked_on_one_minibatch_and_the_earlier_is_the_last_iterate(method, options):
    first, *later = recorded(method, **options)
    assert first[2].size == 8
    pairs = list(zip(later[::2], later[1::2], strict=True))
    assert len(pairs) >= 10
    for now, before in pairs:
        assert now[3] is before[3]
        assert now[2].size == 3
    for (now, _), (_, before) in pairwise(pairs):
        np.testing.assert_array_equal(before[0], now[0])


def test_without_noise_an_earlier_point_is_that_of_the_last_step_and_not_of_the_last_visit():
    asked = recorded(system_step=0.1)
    visited, differ = {}, 0
    for now, before in zip(asked[1::2], asked[2::2], strict=True):
        for row, block in enumerate(now[2]):
            if block in visited:
                differ += not np.array_equal(before[1][row], visited[block])
            visited[block] = now[1][row]
    assert differ > 5


def test_blocks_that_are_not_sampled_rest_where_only_sampled_ones_move():
    asked = recorded(system_step=0.1, move_all=False)
    for now, before in zip(asked[1::2], asked[2::2], strict=True):
        moved = (now[1] != before[1]).any(axis=1)
        assert not moved.all() or now[2].size < 3 or (now[0] != before[0]).any()
    rested = sum((now[1] == before[1]).all(axis=1).sum() for now, before in zip(asked[3::2], asked[4::2], strict=True))
    assert rested > 5


def test_calls_are_counted_at_both_points():
    budget = Budget({"iterations": 3})
    options = {**STEPS, "sampled_blocks": 3, "batch": 2}
    bsvrb(quadratic(), random=np.random.default_rng(0), budget=budget, system_step=0.1, **options)
    assert budget.spent["oracle_calls"] == 6 * 8 * 2 + 2 * 2 * 6 * 3 * 2
    budget = Budget({"iterations": 3})
    bsvrb(quadratic(), random=np.random.default_rng(0), budget=budget, **options)
    hessian = 2 * 3
    assert budget.spent["oracle_calls"] == (2 * hessian + 4) * 8 * 2 + 2 * 2 * (hessian + 4) * 3 * 2


def test_it_reaches_a_smaller_gradient_than_without_the_correction():
    instance = quadratic(blocks=40, noise=0.1, matrix_noise=0.01)
    finals = []
    for correction in (True, False):
        result = bsvrb(
            instance,
            random=np.random.default_rng(0),
            budget=Budget({"iterations": 1500}),
            step=0.3,
            lower_step=0.3,
            system_step=0.3,
            sampled_blocks=8,
            batch=2,
            correction=correction,
        )
        finals.append(result.history[-20:].mean())
    assert finals[0] < finals[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tracking": 0.0}, "tracking"),
        ({"tracking": 1.0}, "tracking"),
        ({"decay": -0.1}, "decay"),
        ({"radius": 0.0}, "radius"),
        ({"system_step": 0.0}, "system_step"),
        ({"sampled_blocks": 9}, "sampled_blocks"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        recorded(**options)
