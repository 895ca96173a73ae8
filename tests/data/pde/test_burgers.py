import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import spsolve

from data.pde.burgers import Burgers, BurgersFluxes
from data.problem import make_fields


def last_state(problem, initial):
    evolution = problem.assemble({"initial": initial})
    states = [evolution.initial]
    for _ in range(evolution.steps):
        system = evolution.system(states)
        states.append(spsolve(system.matrix.tocsc(), system.rhs))
    return states[-1].reshape(initial.shape)


def rate_of_change(problem, state):
    """-div(u^2/2 (1, 1)) + nu Laplace u by means and differences of cells, with ghost cells that hold -u."""
    h, padded = 1.0 / problem.grid, np.pad(state, 1)
    padded[[0, -1]], padded[:, [0, -1]] = -padded[[1, -2]], -padded[:, [1, -2]]
    rate = np.zeros_like(state)
    for axis, line in ((0, padded[:, 1:-1]), (1, padded[1:-1])):
        cells = np.moveaxis(line, axis, 0)
        means, slopes = 0.5 * (cells[1:] + cells[:-1]), np.diff(cells, axis=0) / h
        fluxes = 0.5 * means**2 - problem.viscosity * slopes
        rate -= np.moveaxis(np.diff(fluxes, axis=0), 0, axis) / h
    return rate


def test_halving_the_steps_quarters_the_distance_to_the_semi_discrete_equation():
    problem = Burgers(grid=10, steps=20, duration=0.5, viscosity=0.02)
    initial = make_fields(problem, 0, 0)["initial"]

    def rate(_, state):
        return rate_of_change(problem, state.reshape(initial.shape)).ravel()

    exact = solve_ivp(rate, (0.0, 0.5), initial.ravel(), rtol=1e-9, atol=1e-9).y[:, -1].reshape(initial.shape)
    errors = [
        np.abs(last_state(problem.model_copy(update={"steps": steps}), initial) - exact).max() for steps in (20, 40)
    ]
    assert errors[0] < 0.02
    assert 3.3 < errors[0] / errors[1] < 4.7


def test_what_leaves_a_cell_enters_the_next():
    state = np.random.default_rng(0).standard_normal(49)
    matrix, addition = BurgersFluxes(0.02, 3.0)(state)
    columns = matrix.sum(axis=0).reshape(7, 7)
    assert addition.sum() == pytest.approx(0.0, abs=1e-13)
    np.testing.assert_allclose(columns[1:-1, 1:-1], 3.0, atol=1e-13)
    np.testing.assert_allclose(columns[0, 1:-1], 3.02, atol=1e-13)  # half of the 2 nu that the boundary takes


def test_the_crest_moves_towards_growing_x_and_y():
    problem = Burgers(grid=32, steps=32, duration=0.3)
    line = np.sin(np.pi * (np.arange(32) + 0.5) / 32)
    last = last_state(problem, np.outer(line, line))
    assert last[20:, 20:].sum() > 2.0 * last[:12, :12].sum()
    np.testing.assert_allclose(last, last.T, atol=1e-12)


def test_the_initial_state_has_the_amplitude_asked_for():
    fields = [make_fields(Burgers(grid=16, amplitude=2.0), 0, index)["initial"] for index in range(300)]
    assert np.sqrt(np.mean(np.square(fields))) == pytest.approx(2.0, rel=0.1)


def test_the_courant_and_peclet_numbers_are_reported():
    numbers = Burgers(grid=50, steps=10, duration=1.0, amplitude=0.2, viscosity=0.004).verification()
    assert numbers["courant_number"] == pytest.approx(1.0)
    assert numbers["cell_peclet"] == pytest.approx(1.0)
