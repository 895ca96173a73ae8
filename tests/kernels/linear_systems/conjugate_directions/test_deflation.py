import numpy as np
import pytest
from direction_networks import identity_network, system_with
from scipy.sparse.linalg import spsolve

from data.pde.pressure.domains import pressure_matrix
from kernels.linear_systems.cg import cg
from kernels.linear_systems.conjugate_directions.deflation import lowest_modes, mode_deflated_cg


@pytest.mark.parametrize(("rows", "columns", "count"), [(6, 6, 10), (5, 8, 40), (1, 4, 2)])
def test_the_modes_are_the_orthonormal_eigenvectors_of_smallest_eigenvalue(rows, columns, count):
    matrix = pressure_matrix(np.ones((rows, columns), np.bool_)).toarray()
    modes = lowest_modes(rows, columns, count)
    np.testing.assert_allclose(modes.T @ modes, np.eye(count), atol=1e-12)
    eigenvalues = np.linalg.eigvalsh(matrix)[:count]
    np.testing.assert_allclose(matrix @ modes, modes * eigenvalues, atol=1e-12)


def test_all_modes_leave_nothing_to_iterate_on_an_empty_square():
    system = system_with(identity_network(), grid=8)
    liquid = np.ones((8, 8), np.bool_)
    empty = type(system)(pressure_matrix(liquid), system.rhs, system.rhs, liquid=liquid, network=system.network)
    result = mode_deflated_cg(empty, modes=64)
    assert result.converged
    assert result.work["iterations"] == 0


def test_modes_of_the_empty_square_save_iterations_where_there_are_pockets():
    system = system_with(identity_network(), grid=24)
    result = mode_deflated_cg(system, modes=60)
    assert result.converged
    assert result.work["iterations"] < 0.6 * cg(system.matrix, system.rhs).work["iterations"]
    assert not result.value[~system.liquid.ravel()].any()
    exact = spsolve(system.matrix.tocsc(), system.rhs)
    np.testing.assert_allclose(result.value, exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize("modes", [0, 257, 1.5])
def test_more_modes_than_cells_or_none_are_refused(modes):
    with pytest.raises(ValueError, match="modes must be an integer between 1 and 256"):
        mode_deflated_cg(system_with(identity_network()), modes=modes)
