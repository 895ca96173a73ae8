from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import scipy.sparse as sp
from grid_systems import poisson, system
from scipy.sparse.linalg import spsolve

from data.problem import make_fields
from data.registry import problem
from kernels.linear_systems.direct import sparse_lu_sequence
from kernels.linear_systems.evolution import solve_evolutions, worst_relative_residual
from kernels.linear_systems.sequences import BANDITS, SEQUENCES, evolve, relative_residual, sequence_solver
from kernels.result import Result, Status


@dataclass(frozen=True)
class Decay:
    """Backward Euler for u' = -A u on a grid, or for whatever ``matrix`` makes of it."""

    initial: np.ndarray
    steps: int = 5
    matrix: sp.csr_array = field(default_factory=lambda: poisson(6))

    def system(self, states):
        return system(sp.csr_array(sp.eye_array(36) + 0.1 * self.matrix), states[-1].copy())


def starts(count):
    return [Decay(np.random.default_rng(seed).standard_normal(36)) for seed in range(count)]


def trajectories(evolutions, **options):
    return [result for _, result in evolve(evolutions, **options)]


@pytest.mark.parametrize("name", ["heat", "burgers", "navier-stokes"])
@pytest.mark.parametrize("solver", ["auto", "lanes", "direct", "bicgstab"])
def test_every_step_reaches_the_tolerance(name, solver):
    chosen = problem(name, grid=12)
    evolutions = [chosen.assemble(make_fields(chosen, 0, index)) for index in range(3)]
    for evolution, result in zip(evolutions, trajectories(evolutions, solver=solver, tolerance=1e-9), strict=True):
        assert result.converged
        states = result.value.reshape(evolution.steps + 1, -1)
        np.testing.assert_array_equal(states[0], evolution.initial)
        for step in range(evolution.steps):
            one = evolution.system(list(states[: step + 1]))
            residual = np.linalg.norm(one.rhs - one.matrix @ states[step + 1]) / np.linalg.norm(one.rhs)
            assert residual <= 1e-9
            assert residual == pytest.approx(result.history[step + 1], rel=1e-3, abs=1e-14)
        assert worst_relative_residual(evolution, result) == result.history.max()


def test_a_trajectory_is_that_of_exact_solves():
    (one,) = starts(1)
    (result,) = trajectories([one], solver="cg", tolerance=1e-12)
    state = one.initial
    for computed in result.value.reshape(6, 36)[1:]:
        state = spsolve((sp.eye_array(36) + 0.1 * poisson(6)).tocsc(), state)
        np.testing.assert_allclose(computed, state, rtol=1e-9, atol=1e-11)


def test_side_by_side_is_as_alone():
    together = trajectories(starts(4), solver="lanes")
    alone = [trajectories([one], solver="lanes")[0] for one in starts(4)]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.value, other.value, rtol=1e-7, atol=1e-9)


def test_instances_may_take_different_numbers_of_steps():
    short, long = starts(2)
    results = trajectories([replace(short, steps=2), replace(long, steps=7)], solver="direct")
    assert [result.value.size for result in results] == [3 * 36, 8 * 36]
    assert [result.work["steps"] for result in results] == [2, 7]


def test_a_state_that_does_not_change_is_not_solved_for():
    (result,) = trajectories([Decay(np.zeros(36))], solver="direct")
    assert result.converged
    assert result.work["iterations"] == 0
    assert not result.value.any()


def test_after_a_step_that_fails_there_is_nothing_and_the_others_go_on():
    good, bad = starts(2)
    singular = sp.csr_array(-10.0 * sp.eye_array(36))
    results = trajectories([good, replace(bad, matrix=singular), good], solver="direct")
    assert [result.status for result in results][::2] == [Status.CONVERGED] * 2
    assert results[1].status is Status.BREAKDOWN
    assert np.isnan(results[1].value[72:]).all()
    assert np.isnan(worst_relative_residual(bad, results[1]))


def test_a_solver_that_claims_too_much_is_found_out():
    def liar(systems, tolerance):
        yield from ((at, Result(np.zeros(36), Status.CONVERGED, np.zeros(1), {})) for at in range(len(systems)))

    ((_, result),) = solve_evolutions(starts(1), solve=liar)
    assert result.status is Status.STAGNATED


def test_nothing_evolves_to_nothing():
    assert trajectories([], solver="direct") == []


@pytest.mark.parametrize("tolerance", [0.0, -1.0, np.nan])
def test_a_tolerance_that_is_none_is_refused(tolerance):
    with pytest.raises(ValueError, match="tolerance"):
        list(solve_evolutions(starts(1), solve=sparse_lu_sequence, tolerance=tolerance))


@pytest.mark.parametrize("solver", [*BANDITS, *SEQUENCES])
def test_every_solver_solves_a_sequence(solver):
    random = np.random.default_rng(0)
    systems = [system(poisson(6), random.standard_normal(36)) for _ in range(4)]
    for one in systems:
        one.parameters = random.standard_normal(2)
    results = dict(sequence_solver(solver)(systems, tolerance=1e-8))
    for position, one in enumerate(systems):
        assert results[position].converged
        assert relative_residual(one, results[position]) <= 1e-8


def test_an_unknown_solver_is_refused():
    with pytest.raises(ValueError, match="solver must be one of auto, grid-multigrid, lanes"):
        sequence_solver("magic")
