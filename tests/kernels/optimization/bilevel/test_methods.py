"""What all stochastic methods have in common: they solve what is not noisy, and take no more than they are given."""

import numpy as np
import pytest

from data.optimization.bilevel.analytic import CoshBilevel, QuadraticBlocks
from data.problem import make_fields
from kernels.budget import Budget
from kernels.optimization.bilevel.block_variance_reduced import bsvrb, rsvrb
from kernels.optimization.bilevel.bo_rep import bo_rep
from kernels.optimization.bilevel.double_loop import aid_bio, stocbio
from kernels.optimization.bilevel.moving_average import ma_soba
from kernels.optimization.bilevel.run import CHECKPOINTS
from kernels.result import Status

STEPS = {"step": 0.3, "lower_step": 0.3}
LINEAR = {**STEPS, "system_step": 0.3}
CONSTANT = {"decay": 0.0, "batch": 1}
METHODS = {
    "bo-rep": (bo_rep, {**LINEAR, "step": 2e-3}, 2e-2),
    "ma-soba": (ma_soba, LINEAR, 1e-6),
    "stocbio": (stocbio, {**LINEAR, "terms": 60}, 1e-6),
    "aid-bio": (aid_bio, STEPS, 1e-6),
    "bsvrb-v1": (bsvrb, {**STEPS, **CONSTANT}, 1e-6),
    "bsvrb-v2": (bsvrb, {**LINEAR, **CONSTANT}, 1e-6),
    "rsvrb": (rsvrb, {**LINEAR, **CONSTANT}, 1e-6),
}
EVERY = pytest.mark.parametrize("name", list(METHODS))
BLOCKWISE = pytest.mark.parametrize("name", [name for name in METHODS if name != "bo-rep"])


def quadratic(noise=0.0, blocks=3):
    problem = QuadraticBlocks(blocks=blocks, upper_dimension=4, lower_dimension=3, noise=noise, matrix_noise=noise / 10)
    return problem.assemble(make_fields(problem, 0, 0))


def run(name, instance, calls=30_000, seed=0, **options):
    method, own, _ = METHODS[name]
    if name not in ("bo-rep", "ma-soba", "stocbio", "aid-bio"):
        own = {**own, "sampled_blocks": instance.blocks}
    budget = Budget({"oracle_calls": calls})
    return method(instance, random=np.random.default_rng(seed), budget=budget, **{**own, **options}), budget


@EVERY
def test_without_noise_a_method_finds_the_stationary_point(name):
    result, _ = run(name, quadratic(), calls=200_000 if name == "stocbio" else 60_000)
    assert result.status is Status.CONVERGED
    assert np.linalg.norm(quadratic().exact_gradient(result.value)) < METHODS[name][2]


@BLOCKWISE
def test_without_noise_but_with_sampled_blocks_it_comes_close(name):
    options = {"step": 0.02, "lower_step": 0.1, "sampled_blocks": 2}
    if METHODS[name][1].get("system_step"):
        options["system_step"] = 0.1
    result, _ = run(name, quadratic(blocks=4), calls=60_000, **options)
    assert result.status is Status.CONVERGED
    assert result.history[-10:].mean() < 0.2 * result.history[0]


@EVERY
def test_the_budget_is_spent_and_not_exceeded(name):
    result, budget = run(name, quadratic(0.5), calls=997)
    assert 0.9 * 997 < budget.spent["oracle_calls"] <= 997
    assert dict(result.work) == budget.spent
    assert result.history.shape == (CHECKPOINTS + 1,)


@EVERY
def test_the_same_stream_gives_the_same_bytes_and_another_one_does_not(name):
    first, again, other = (run(name, quadratic(0.5), calls=2000, seed=seed)[0] for seed in (3, 3, 4))
    assert first.value.tobytes() == again.value.tobytes()
    assert first.history.tobytes() == again.history.tobytes()
    assert first.value.tobytes() != other.value.tobytes()


@EVERY
def test_neither_the_start_nor_the_problem_is_changed(name):
    instance = quadratic(0.5)
    start = instance.upper_start.copy()
    run(name, instance, calls=2000)
    np.testing.assert_array_equal(instance.upper_start, start)
    assert run(name, instance, calls=2000)[0].history[0] == np.linalg.norm(instance.exact_gradient(start))


@EVERY
def test_too_long_a_step_ends_as_not_finite_or_without_progress(name):
    problem = CoshBilevel(dimension=4, distance=6.0)
    instance = problem.assemble(make_fields(problem, 0, 0))
    result, _ = run(name, instance, step=1e3)
    assert result.status in (Status.NOT_FINITE, Status.STAGNATED)
    assert np.isfinite(result.history).all()


@EVERY
def test_nan_in_the_data_is_said_to_be_not_finite(name):
    problem = CoshBilevel(dimension=4)
    fields = make_fields(problem, 0, 0)
    result, _ = run(name, problem.assemble({**fields, "start": np.full(4, np.nan)}))
    assert result.status is Status.NOT_FINITE


@EVERY
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"step": 0.0}, "step"),
        ({"step": float("nan")}, "step"),
        ({"lower_step": -1.0}, "lower_step"),
        ({"batch": 0}, "batch"),
    ],
)
def test_bad_options_are_refused(name, options, words):
    with pytest.raises(ValueError, match=words):
        run(name, quadratic(), **options)


@EVERY
@pytest.mark.parametrize("budget", [Budget({}), Budget({"oracle_calls": 0}), Budget({"seconds": 3})])
def test_a_budget_that_does_not_bound_the_run_is_refused(name, budget):
    method, own, _ = METHODS[name]
    own = {**own, "sampled_blocks": 3} if "bsvrb" in name or name == "rsvrb" else own
    with pytest.raises(ValueError, match="budget"):
        method(quadratic(), random=np.random.default_rng(0), budget=budget, **own)


@BLOCKWISE
def test_more_blocks_than_there_are_cannot_be_sampled(name):
    with pytest.raises(ValueError, match="sampled_blocks"):
        run(name, quadratic(), sampled_blocks=4)


@BLOCKWISE
def test_a_target_ends_the_run_once_the_running_mean_reaches_it(name):
    start = run(name, quadratic())[0].history[0]
    reached, budget = run(name, quadratic(), target=0.5 * start)
    assert reached.status is Status.CONVERGED
    assert budget.spent["oracle_calls"] < 30_000
    missed, _ = run(name, quadratic(0.5), calls=997, target=1e-9)
    assert missed.status is Status.ITERATION_LIMIT
    with pytest.raises(ValueError, match="target"):
        run(name, quadratic(), target=0.0)
