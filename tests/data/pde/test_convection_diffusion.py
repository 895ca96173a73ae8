import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from data.pde.convection_diffusion import ConvectionDiffusion, convection_diffusion_system
from data.pde.darcy import darcy_system
from data.problem import make_fields

PSI = make_fields(ConvectionDiffusion(grid=8), 0, 0)["stream_function"]


def test_without_flow_it_is_diffusion():
    source = np.random.default_rng(0).standard_normal((6, 6))
    matrix, rhs = convection_diffusion_system(np.zeros((7, 7)), source, 0.3)
    diffusion, diffusion_rhs = darcy_system(np.full((6, 6), 0.3), source)
    np.testing.assert_allclose(matrix.toarray(), diffusion.toarray(), rtol=1e-14)
    np.testing.assert_array_equal(rhs, diffusion_rhs)


def test_a_closed_flow_adds_a_skew_symmetric_part_only():
    closed = PSI.copy()
    closed[[0, -1]] = closed[:, [0, -1]] = 0.0
    matrix = convection_diffusion_system(closed, np.ones((8, 8)), 0.02)[0].toarray()
    diffusion = convection_diffusion_system(0.0 * closed, np.ones((8, 8)), 0.02)[0].toarray()
    np.testing.assert_allclose(0.5 * (matrix + matrix.T), diffusion, atol=1e-14)
    assert np.abs(matrix - matrix.T).max() > 1e-3


def test_a_constant_tracer_is_not_concentrated_by_the_flow():
    rows = convection_diffusion_system(PSI, np.ones((8, 8)), 1.0)[0].sum(axis=1).reshape(8, 8)
    np.testing.assert_allclose(rows[1:-1, 1:-1], 0.0, atol=1e-14)


def test_reversing_a_closed_flow_transposes_the_matrix():
    line = np.sin(np.pi * np.arange(9) / 8)
    closed = np.outer(line, line)
    forward = convection_diffusion_system(closed, np.ones((8, 8)), 0.1)[0].toarray()
    backward = convection_diffusion_system(-closed, np.ones((8, 8)), 0.1)[0].toarray()
    np.testing.assert_allclose(forward, backward.T, atol=1e-15)


def test_the_flow_carries_the_tracer_downstream():
    vertices = np.arange(33) / 32
    wind = np.repeat(vertices[:, None], 33, axis=1)  # psi = y: a unit wind in the direction of x
    matrix, rhs = convection_diffusion_system(wind, np.ones((32, 32)), 0.05)
    tracer = spsolve(matrix.tocsc(), rhs).reshape(32, 32)
    assert tracer[:, 24].mean() > 2.0 * tracer[:, 7].mean()
    np.testing.assert_allclose(tracer, tracer[::-1], rtol=1e-10)


def test_the_flow_has_unit_root_mean_square_speed_in_expectation():
    problem, squares = ConvectionDiffusion(grid=32), []
    for index in range(200):
        psi = make_fields(problem, 0, index)["stream_function"] * 32
        squares.append((np.diff(psi, axis=0) ** 2).mean() + (np.diff(psi, axis=1) ** 2).mean())
    assert np.mean(squares) == pytest.approx(1.0, rel=0.15)


def test_the_peclet_number_of_a_cell_is_reported():
    assert ConvectionDiffusion(grid=50, viscosity=0.01).verification()["cell_peclet"] == pytest.approx(2.0)
