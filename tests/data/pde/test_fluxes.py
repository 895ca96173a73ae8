import numpy as np
import pytest

from data.pde.fluxes import convection_stencil, diffusion_stencil, face_conductances, face_flows, uniform_conductances


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_face_is_the_series_of_the_halves_beside_it(axis):
    coefficient = np.exp(np.random.default_rng(0).standard_normal((3, 4, 5)))
    faces = np.moveaxis(face_conductances(coefficient, axis), axis, 0)
    cells = np.moveaxis(coefficient, axis, 0)
    np.testing.assert_allclose(faces[1:-1], 2.0 * cells[1:] * cells[:-1] / (cells[1:] + cells[:-1]))
    np.testing.assert_array_equal(faces[[0, -1]], 2.0 * cells[[0, -1]])


def test_a_uniform_medium_is_one_whose_coefficients_are_equal():
    for axis, faces in enumerate(uniform_conductances(5, 0.3)):
        np.testing.assert_allclose(faces, face_conductances(np.full((5, 5), 0.3), axis))


def test_the_flow_through_the_faces_has_no_divergence():
    flow_y, flow_x = face_flows(np.random.default_rng(0).standard_normal((6, 6)))
    np.testing.assert_allclose(np.diff(flow_y, axis=0) + np.diff(flow_x, axis=1), 0.0, atol=1e-14)


def test_without_flow_convection_is_diffusion():
    conductances = uniform_conductances(4, 2.0)
    still = convection_stencil(*conductances, np.zeros((5, 4)), np.zeros((4, 5)))
    np.testing.assert_array_equal(still, diffusion_stencil(*conductances))


def test_a_flow_through_the_boundary_carries_nothing_and_is_left_as_it_is():
    conductances, flows = uniform_conductances(4, 2.0), (np.ones((5, 4)), np.ones((4, 5)))
    closed = [flow.copy() for flow in flows]
    closed[0][[0, -1]] = closed[1][:, [0, -1]] = 0.0
    np.testing.assert_array_equal(convection_stencil(*conductances, *flows), convection_stencil(*conductances, *closed))
    assert all((flow == 1.0).all() for flow in flows)
