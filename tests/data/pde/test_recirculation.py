import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from data.pde.convection_diffusion import convection_diffusion_system
from data.pde.recirculation import Recirculation, recirculation_system
from data.problem import make_fields


def test_central_fluxes_are_those_of_convection_diffusion():
    fields = make_fields(Recirculation(grid=8), 0, 0)
    matrix, rhs = recirculation_system(fields["stream_function"], fields["source"], 0.02, "central")
    expected, expected_rhs = convection_diffusion_system(fields["stream_function"], fields["source"], 0.02)
    np.testing.assert_array_equal(matrix.toarray(), expected.toarray())
    np.testing.assert_array_equal(rhs, expected_rhs)


@pytest.mark.parametrize("peclet", [0.1, 100.0])
def test_upwind_fluxes_give_an_m_matrix(peclet):
    problem = Recirculation(grid=8, cell_peclet=peclet)
    dense = problem.assemble(make_fields(problem, 0, 0)).matrix.toarray()
    assert (dense - np.diag(np.diag(dense)) <= 0.0).all()
    assert dense.sum(axis=1).min() > -1e-14


def test_a_face_carries_what_comes_from_upstream():
    psi = np.zeros((5, 5))
    psi[2:, 1:-1] = 0.25  # a wind from cell (1, 1) to cell (1, 2), and back around
    matrix, _ = recirculation_system(psi, np.ones((4, 4)), 1e-9, "upwind")
    assert matrix[6, 5] == pytest.approx(-0.25)
    assert matrix[5, 6] == pytest.approx(0.0, abs=1e-8)


def test_where_convection_rules_a_source_makes_central_fluxes_oscillate_and_upwind_ones_not():
    problem = Recirculation(grid=32, cell_peclet=100.0)
    spot = np.zeros((32, 32))
    spot[20, 12] = 1.0
    fields, solutions = {**make_fields(problem, 0, 0), "source": spot}, {}
    for fluxes in ("upwind", "central"):
        system = problem.model_copy(update={"fluxes": fluxes}).assemble(fields)
        solutions[fluxes] = spsolve(system.matrix.tocsc(), system.rhs)
    assert solutions["upwind"].min() >= 0.0
    assert solutions["central"].min() < -0.01 * solutions["central"].max()


def test_the_eddies_stay_in_the_box_and_have_unit_speed_in_expectation():
    squares = []
    for index in range(200):
        psi = make_fields(Recirculation(grid=32), 0, index)["stream_function"]
        assert not psi[[0, -1]].any()
        assert not psi[:, [0, -1]].any()
        squares.append(32.0**2 * (np.mean(np.diff(psi, axis=0) ** 2) + np.mean(np.diff(psi, axis=1) ** 2)))
    assert np.mean(squares) == pytest.approx(1.0, rel=0.15)


def test_the_viscosity_follows_from_the_peclet_number():
    assert Recirculation(grid=50, cell_peclet=4.0).verification()["viscosity"] == pytest.approx(0.005)
