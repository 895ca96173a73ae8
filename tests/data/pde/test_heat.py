import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from data.pde.darcy import darcy_system
from data.pde.heat import Heat
from data.problem import make_fields


def trajectory(evolution):
    states = [evolution.initial]
    for _ in range(evolution.steps):
        system = evolution.system(states)
        states.append(spsolve(system.matrix.tocsc(), system.rhs))
    return np.array(states)


def test_a_wave_in_a_uniform_medium_decays_by_the_factor_of_crank_and_nicolson():
    problem, cells = Heat(grid=9, steps=5, contrast=0.0, source=0.0), 9
    centres = np.pi * (np.arange(cells) + 0.5) / cells
    wave = np.outer(np.sin(2.0 * centres), np.sin(3.0 * centres)).ravel()
    evolution = problem.assemble({"coefficient": np.ones((cells, cells)), "initial": wave})
    eigenvalue = 4.0 * (np.sin(np.pi / cells) ** 2 + np.sin(1.5 * np.pi / cells) ** 2)
    factor = (problem.mass_rate - eigenvalue / 2.0) / (problem.mass_rate + eigenvalue / 2.0)
    np.testing.assert_allclose(trajectory(evolution), factor ** np.arange(6)[:, None] * wave, atol=1e-13)


def test_the_pressure_of_darcy_flow_is_a_temperature_that_stays():
    problem = Heat(grid=8, source=3.0)
    fields = make_fields(problem, 0, 0)
    matrix, rhs = darcy_system(fields["coefficient"], np.full((8, 8), 3.0))
    steady = spsolve(matrix.tocsc(), rhs)
    system = problem.assemble({**fields, "initial": steady}).system([steady])
    np.testing.assert_allclose(spsolve(system.matrix.tocsc(), system.rhs), steady, rtol=1e-12)


def test_all_steps_share_one_matrix():
    evolution = Heat(grid=8).assemble(make_fields(Heat(grid=8), 0, 0))
    assert evolution.system([evolution.initial]).matrix is evolution.system([evolution.initial] * 2).matrix


def test_the_medium_has_the_contrast_asked_for_and_the_initial_state_unit_deviation():
    fields = [make_fields(Heat(grid=32, contrast=0.5), 0, index) for index in range(200)]
    logarithms = [np.log(instance["coefficient"]) for instance in fields]
    assert np.sqrt(np.mean(np.square(logarithms))) == pytest.approx(0.5, rel=0.05)
    assert np.sqrt(np.mean([instance["initial"] ** 2 for instance in fields])) == pytest.approx(1.0, rel=0.05)


def test_medium_and_initial_state_are_independent():
    pairs = [(instance["coefficient"], instance["initial"]) for instance in map(fields_of, range(200))]
    correlation = np.mean([np.mean(np.log(medium) * initial) for medium, initial in pairs])
    assert abs(correlation) < 0.05


def fields_of(index):
    return make_fields(Heat(grid=8), 0, index)


def test_the_diffusion_number_is_reported():
    assert Heat(grid=10, steps=4, duration=0.02).verification()["diffusion_number"] == pytest.approx(0.5)
