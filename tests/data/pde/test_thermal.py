import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from data.pde.thermal import Thermal, conduction_matrices, slotted_block
from data.problem import make_fields


def areas_of(mesh):
    a, b, c = np.swapaxes(mesh.nodes[mesh.triangles], 0, 1)
    return 0.5 * np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1]))


@pytest.mark.parametrize("refinement", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_triangles_fill_the_block_and_leave_the_slot(refinement, seed):
    mesh = slotted_block(refinement, seed)
    areas = areas_of(mesh)
    assert areas.sum() == pytest.approx(1.0 * 1.6 - 0.1 * 0.8, rel=1e-12)
    assert areas.min() > 1e-2 * areas.max()
    assert set(mesh.triangles.ravel()) == set(range(len(mesh.nodes)))


def test_the_mesh_is_irregular_and_its_seed_chooses_it():
    first, second = slotted_block(2, 0), slotted_block(2, 1)
    assert np.ptp(areas_of(first)) > 0.3 * areas_of(first).mean()
    assert not np.array_equal(first.nodes, second.nodes)


def test_linear_temperatures_are_reproduced_to_rounding_where_no_slot_disturbs_them():
    mesh = slotted_block(2, 0)
    matrix, coupling = conduction_matrices(2, 0)
    linear = 3.0 * mesh.nodes[:, 0] - 2.0 * mesh.nodes[:, 1] + 1.0
    prescribed = np.concatenate((mesh.left, mesh.right))
    balance = matrix @ linear[mesh.free] + coupling @ linear[prescribed]
    x, y = np.abs(mesh.nodes[mesh.free].T)
    inside = (y < 0.8) & ((x > 0.051) | (y > 0.401))
    np.testing.assert_allclose(balance[inside], 0.0, atol=1e-12)


def solve(problem, index=0):
    fields = make_fields(problem, 0, index)
    system = problem.assemble(fields)
    return fields, spsolve(system.matrix.tocsc(), system.rhs)


@pytest.mark.parametrize("seed", range(4))
def test_the_temperature_stays_between_the_prescribed_ones(seed):
    problem = Thermal(refinement=2, mesh_seed=seed)
    fields, temperature = solve(problem, seed)
    assert fields["left_temperature"] < temperature.min()
    assert temperature.max() < fields["right_temperature"]
    matrix = conduction_matrices(2, seed)[0]
    assert (matrix - np.diag(matrix.diagonal())).max() <= 1e-14


def test_the_heat_that_enters_on_one_side_leaves_on_the_other():
    problem = Thermal(refinement=2)
    mesh = slotted_block(2, 0)
    fields, temperature = solve(problem)
    _, coupling = conduction_matrices(2, 0)
    left, right = coupling[:, : mesh.left.size], coupling[:, mesh.left.size :]
    into_left = left.sum(axis=1) @ (temperature - fields["left_temperature"])
    out_of_right = right.sum(axis=1) @ (temperature - fields["right_temperature"])
    assert into_left == pytest.approx(-out_of_right, rel=1e-10)
    assert abs(into_left) > 1.0


def test_equal_temperatures_on_both_sides_fill_the_block():
    system = Thermal(refinement=1).assemble({"left_temperature": np.asarray(7.0), "right_temperature": np.asarray(7.0)})
    np.testing.assert_allclose(spsolve(system.matrix.tocsc(), system.rhs), 7.0, rtol=1e-12)


def test_every_instance_shares_one_matrix():
    problem = Thermal(refinement=1)
    first, second = (problem.assemble(make_fields(problem, 0, index)) for index in (0, 1))
    assert first.matrix is second.matrix


def test_the_temperatures_lie_in_the_ranges_of_the_paper():
    draws = [make_fields(Thermal(refinement=1), 0, index) for index in range(50)]
    assert all(-100.0 <= fields["left_temperature"] <= 0.0 for fields in draws)
    assert all(0.0 <= fields["right_temperature"] <= 100.0 for fields in draws)


def test_the_coordinates_are_those_of_the_unknowns():
    problem = Thermal(refinement=1)
    coordinates = problem.coordinates()
    assert coordinates["x"].shape == coordinates["y"].shape == problem.solution().shape
    assert np.abs(coordinates["x"]).max() < 0.5
