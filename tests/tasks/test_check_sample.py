"""Residuals of stored solutions: of single systems and of the steps of trajectories."""

import numpy as np
import pytest
import scipy.sparse as sp

from data.evolution import Evolution
from data.linear_system import LinearSystem
from tasks.check_sample import residuals_of
from tasks.storage import round_mantissa

UNKNOWNS = 20
STEPS = 4
LAPLACIAN = sp.csr_array(sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(UNKNOWNS, UNKNOWNS)))
IMPLICIT = sp.csr_array(sp.eye_array(UNKNOWNS) + 0.1 * LAPLACIAN)


def heat(states):
    """Backward Euler."""
    return IMPLICIT, np.asarray(states[-1])


def trajectory():
    initial = np.random.default_rng(0).standard_normal(UNKNOWNS)
    evolution = Evolution(initial, STEPS, heat, initial)
    states = [initial]
    for _ in range(STEPS):
        system = evolution.system(states)
        states.append(np.linalg.solve(system.matrix.toarray(), system.rhs))
    return evolution, np.stack(states)


def test_the_residual_of_a_solution_is_the_true_one():
    rhs = np.arange(1.0, UNKNOWNS + 1.0)
    system = LinearSystem(LAPLACIAN, rhs, rhs)
    solution = np.linalg.solve(LAPLACIAN.toarray(), rhs) + 0.01
    residuals, allowances = residuals_of(system, solution.reshape(4, 5), None)
    expected = np.linalg.norm(rhs - LAPLACIAN @ solution) / np.linalg.norm(rhs)
    assert residuals == pytest.approx([expected], rel=1e-12)
    assert 0.0 < allowances[0] < 1e-10


@pytest.mark.parametrize("bits", [4, 12, 23])
def test_rounding_a_solution_changes_its_residual_by_less_than_is_allowed(bits):
    random = np.random.default_rng(bits)
    for _ in range(20):
        solution = random.standard_normal(UNKNOWNS)
        system = LinearSystem(LAPLACIAN, LAPLACIAN @ solution, solution)
        residuals, allowances = residuals_of(system, round_mantissa(solution, bits), bits)
        assert residuals[0] <= allowances[0]


def test_every_step_of_a_trajectory_and_its_beginning_have_a_residual():
    evolution, states = trajectory()
    residuals, _ = residuals_of(evolution, states, None)
    assert residuals.shape == (STEPS + 1,)
    assert residuals.max() < 1e-14


@pytest.mark.parametrize("step", range(STEPS + 1))
def test_a_wrong_state_shows_in_its_own_residual(step):
    evolution, states = trajectory()
    states[step] *= 1.01
    residuals, allowances = residuals_of(evolution, states, None)
    assert (residuals > allowances).nonzero()[0][0] == step


@pytest.mark.parametrize("bits", [8, 23])
def test_a_rounded_trajectory_stays_within_what_is_allowed(bits):
    evolution, states = trajectory()
    residuals, allowances = residuals_of(evolution, round_mantissa(states, bits), bits)
    assert (residuals <= allowances).all()
