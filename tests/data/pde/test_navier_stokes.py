import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import spsolve

from data.pde.convection_diffusion import convection_diffusion_system
from data.pde.fluxes import face_flows
from data.pde.navier_stokes import NavierStokes, VorticityFluxes
from data.pde.vanishing_fields import stream_function
from data.problem import make_fields


def states_of(problem, initial):
    evolution = problem.assemble({"initial": initial})
    states = [evolution.initial]
    for _ in range(evolution.steps):
        system = evolution.system(states)
        states.append(spsolve(system.matrix.tocsc(), system.rhs))
    return np.array(states).reshape(-1, *initial.shape)


def test_halving_the_steps_quarters_the_distance_to_the_semi_discrete_equation():
    problem = NavierStokes(grid=10, duration=3.0, vorticity=4.0, viscosity=0.01, forcing=1.0)
    initial = make_fields(problem, 0, 0)["initial"]
    centres = (np.arange(10) + 0.5) / 10
    phase = 2.0 * np.pi * np.add.outer(centres, centres)
    force = np.sin(phase) + np.cos(phase)

    def rate(_, vorticity):
        psi = stream_function(vorticity.reshape(10, 10))
        matrix, load = convection_diffusion_system(psi, force, 0.01)
        return 100.0 * (load - matrix @ vorticity)

    exact = solve_ivp(rate, (0.0, 3.0), initial.ravel(), rtol=1e-9, atol=1e-9).y[:, -1].reshape(10, 10)
    errors = []
    for steps in (40, 80):
        finer = problem.model_copy(update={"steps": steps})
        errors.append(np.abs(states_of(finer, initial)[-1] - exact).max())
    assert errors[0] < 0.05 * np.abs(exact).max()
    assert 3.3 < errors[0] / errors[1] < 4.7


def test_one_eddy_keeps_its_form_and_decays_by_viscosity():
    problem = NavierStokes(grid=32, viscosity=0.01, forcing=0.0, duration=2.0)
    line = np.sin(np.pi * (np.arange(32) + 0.5) / 32)
    eddy = np.outer(line, line)
    expected = np.exp(-2.0 * np.pi**2 * 0.01 * problem.coordinates()["time"])[:, None, None] * eddy
    np.testing.assert_allclose(states_of(problem, eddy), expected, atol=1e-3)


def test_without_force_the_enstrophy_never_grows_however_long_the_steps():
    problem = NavierStokes(grid=12, steps=6, duration=500.0, viscosity=1e-6, forcing=0.0)
    enstrophy = np.sum(states_of(problem, make_fields(problem, 0, 0)["initial"]) ** 2, axis=(1, 2))
    assert (np.diff(enstrophy) <= 0.0).all()
    assert enstrophy[-1] > 0.3 * enstrophy[0]


def test_the_flow_adds_a_skew_symmetric_part_only():
    matrix = VorticityFluxes(0.02, 3.0)(np.random.default_rng(0).standard_normal(49))[0].toarray()
    still = VorticityFluxes(0.02, 3.0)(np.zeros(49))[0].toarray()
    np.testing.assert_allclose(0.5 * (matrix + matrix.T), still, atol=1e-14)
    assert np.abs(matrix - matrix.T).max() > 1e-3


def test_no_flow_crosses_the_walls():
    flow_y, flow_x = face_flows(stream_function(np.random.default_rng(0).standard_normal((8, 8))))
    assert not flow_y[[0, -1]].any()
    assert not flow_x[:, [0, -1]].any()


def test_a_positive_vorticity_turns_counterclockwise():
    line = np.sin(np.pi * (np.arange(8) + 0.5) / 8)
    flow_y, flow_x = face_flows(stream_function(np.outer(line, line)))
    assert (flow_x[0, 1:-1] > 0.0).all()  # towards growing x at the bottom
    assert (flow_x[-1, 1:-1] < 0.0).all()
    assert (flow_y[1:-1, -1] > 0.0).all()


def test_the_force_is_that_of_the_paper():
    problem = NavierStokes(grid=4)
    rhs = problem.assemble({"initial": np.zeros((4, 4))}).system([np.zeros(16)]).rhs.reshape(4, 4) * 16
    phase = 2.0 * np.pi * (0.375 + 0.625)
    assert rhs[1, 2] == pytest.approx(0.1 * (np.sin(phase) + np.cos(phase)))


def test_vorticity_and_speed_of_the_initial_flow_are_as_stated():
    problem, squares = NavierStokes(grid=32, vorticity=3.0), []
    for index in range(300):
        vorticity = make_fields(problem, 0, index)["initial"]
        flow_y, flow_x = face_flows(stream_function(vorticity))
        squares.append([np.mean(vorticity**2), 32.0**2 * (np.mean(flow_x**2) + np.mean(flow_y**2))])
    expected = [problem.vorticity, problem.speed]
    np.testing.assert_allclose(np.sqrt(np.mean(squares, axis=0)), expected, rtol=0.1)
