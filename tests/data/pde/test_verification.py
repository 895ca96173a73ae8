import numpy as np
import pytest
import scipy.sparse as sp

from data.pde.convection_diffusion import convection_diffusion_order
from data.pde.darcy import darcy_order, darcy_system
from data.pde.grid_operators import cell_centres, five_point
from data.pde.helmholtz import helmholtz_order
from data.pde.poisson import poisson_order
from data.pde.published_darcy import published_orders
from data.pde.thermal import thermal_order
from data.pde.verification import Manufactured, observed_order


def accepted(order):
    return 1.85 <= order <= 2.2


@pytest.mark.parametrize(
    "order", [darcy_order, poisson_order, helmholtz_order, convection_diffusion_order, thermal_order]
)
def test_every_discretisation_converges_at_second_order(order):
    assert accepted(order())


def test_the_published_matrix_is_second_order_without_its_shift_and_does_not_converge_with_it():
    orders = published_orders()
    assert accepted(orders["observed_order_of_laplacian_without_shift"])
    assert orders["observed_order"] < 0.5


def smooth_medium(cells):
    y, x = np.meshgrid(cell_centres(cells), cell_centres(cells), indexing="ij")
    pressure = np.sin(np.pi * x) * np.sin(np.pi * y)
    coefficient = 1.0 + x
    source = 2.0 * np.pi**2 * coefficient * pressure - np.pi * np.cos(np.pi * x) * np.sin(np.pi * y)
    return coefficient, source, pressure.ravel()


def test_the_right_scheme_passes_on_the_problem_that_the_broken_ones_are_given():
    def right(cells):
        coefficient, source, exact = smooth_medium(cells)
        return Manufactured(1.0 / cells, *darcy_system(coefficient, source), exact)

    assert accepted(observed_order(right))


def test_a_boundary_face_a_whole_cell_away_is_not_accepted():
    def broken(cells):
        coefficient, source, exact = smooth_medium(cells)
        matrix, rhs = darcy_system(coefficient, source)
        excess = np.zeros_like(coefficient)
        for side in (np.s_[0], np.s_[-1], np.s_[:, 0], np.s_[:, -1]):
            excess[side] += coefficient[side]
        return Manufactured(1.0 / cells, (matrix - sp.diags_array(excess.ravel())).tocsr(), rhs, exact)

    assert not accepted(observed_order(broken))


def test_one_sided_face_coefficients_are_not_accepted():
    def broken(cells):
        coefficient, source, exact = smooth_medium(cells)
        east, west = coefficient, np.hstack((2.0 * coefficient[:, :1], coefficient[:, :-1]))
        south, north = coefficient.copy(), coefficient.copy()
        south[0] *= 2.0
        north[-1] *= 2.0
        matrix = five_point(-south, -west, south + west + east + north, -east, -north)
        return Manufactured(1.0 / cells, matrix, source.ravel() / cells**2, exact)

    assert not accepted(observed_order(broken))


def test_a_wrong_equation_is_not_accepted():
    def broken(cells):
        coefficient, source, exact = smooth_medium(cells)
        return Manufactured(1.0 / cells, *darcy_system(1.01 * coefficient, source), exact)

    assert not accepted(observed_order(broken))


def test_too_few_grids_are_refused():
    with pytest.raises(ValueError, match=r"grids = \(4, 8\): at least three"):
        observed_order(lambda cells: None, (4, 8))


@pytest.mark.parametrize("exact", [1.0, np.nan])
def test_errors_that_show_no_order_are_refused(exact):
    identity = sp.eye_array(2, format="csr")
    with pytest.raises(ValueError, match="finite and not zero"):
        observed_order(lambda cells: Manufactured(1.0 / cells, identity, np.ones(2), np.full(2, exact)))
