import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import spsolve

from data.pde.grid_operators import five_point
from data.pde.time_stepping import ImplicitMidpoint, Unchanging, implicit_matrix
from data.problem import make_fields
from data.registry import problem

WHOLE = np.random.default_rng(0).standard_normal((5, 3, 4))


def test_the_implicit_matrix_is_half_the_operator_and_the_mass():
    expected = 7.0 * np.eye(12) + 0.5 * five_point(*WHOLE).toarray()
    np.testing.assert_allclose(implicit_matrix(tuple(WHOLE), 7.0).toarray(), expected, atol=1e-14)


def test_a_step_balances_the_change_and_the_mean_of_the_fluxes():
    operator = five_point(*WHOLE).toarray()
    random = np.random.default_rng(1)
    state, load = random.standard_normal((2, 12))
    scheme = ImplicitMidpoint(Unchanging(implicit_matrix(tuple(WHOLE), 7.0)), 7.0, load)
    matrix, rhs = scheme([state])
    following = np.linalg.solve(matrix.toarray(), rhs)
    np.testing.assert_allclose(7.0 * (following - state) + operator @ (following + state) / 2.0, load, atol=1e-12)


def test_the_operator_is_taken_at_the_state_extrapolated_to_the_middle_of_the_step():
    def recorded(halfway):
        seen.append(halfway)
        return sp.eye_array(2, format="csr"), 0.0

    seen = []
    scheme = ImplicitMidpoint(recorded, 1.0, np.zeros(2))
    first, second = np.array([1.0, 2.0]), np.array([3.0, 2.0])
    scheme([first])
    scheme([first, second])
    np.testing.assert_array_equal(seen, [[1.0, 2.0], [4.0, 2.0]])


@pytest.mark.parametrize("name", ["heat", "burgers", "navier-stokes"])
def test_every_entry_of_the_stencil_is_stored(name):
    found = problem(name, grid=5, steps=2)
    evolution = found.assemble(make_fields(found, 0, 0))
    matrix = evolution.system([np.zeros(25)]).matrix
    assert matrix.nnz == 5 * 25 - 4 * 5


@pytest.mark.parametrize("name", ["heat", "burgers", "navier-stokes"])
def test_the_times_are_equally_spaced_and_have_units(name):
    found = problem(name, grid=5, steps=4, duration=2.0)
    np.testing.assert_array_equal(found.coordinates()["time"], [0.0, 0.5, 1.0, 1.5, 2.0])
    assert "time" in found.coordinate_units()
    assert found.mass_rate == pytest.approx(0.2**2 / 0.5)


@pytest.mark.parametrize("name", ["heat", "burgers", "navier-stokes"])
def test_the_steps_of_the_defaults_resolve_the_evolution(name):
    lasts = []
    for refinement in (1, 2):
        found = problem(name, grid=32, steps=refinement * problem(name).steps)
        evolution = found.assemble(make_fields(found, 0, 0))
        states = [evolution.initial]
        for _ in range(evolution.steps):
            system = evolution.system(states)
            states.append(spsolve(system.matrix.tocsc(), system.rhs))
        lasts.append(states[-1])
    assert np.linalg.norm(lasts[0] - lasts[1]) < 0.01 * np.linalg.norm(lasts[1])
