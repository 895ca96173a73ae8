import numpy as np
import pytest
import scipy.sparse as sp

from data.pde import verification
from data.pde.absorbing_helmholtz import absorbing_order
from data.pde.burgers import burgers_orders
from data.pde.convection_diffusion import convection_diffusion_order
from data.pde.darcy import darcy_order, darcy_system
from data.pde.darcy_anisotropic import anisotropic_order
from data.pde.darcy_cube import darcy_cube_order
from data.pde.grid_operators import cell_centres, five_point
from data.pde.heat import heat_fluxes, heat_orders
from data.pde.helmholtz import helmholtz_order
from data.pde.navier_stokes import VorticityFluxes, navier_stokes_orders
from data.pde.poisson import poisson_order
from data.pde.published_darcy import published_orders
from data.pde.recirculation import recirculation_order
from data.pde.thermal import thermal_order
from data.pde.time_stepping import ImplicitMidpoint, Unchanging
from data.pde.verification import (
    TIME_STEP,
    Manufactured,
    ManufacturedEvolution,
    observed_order,
    observed_order_in_space,
    observed_order_in_time,
)


def accepted(order):
    return 1.85 <= order <= 2.2


@pytest.mark.parametrize(
    "order",
    [
        absorbing_order,
        anisotropic_order,
        convection_diffusion_order,
        darcy_cube_order,
        darcy_order,
        helmholtz_order,
        poisson_order,
        thermal_order,
    ],
)
def test_every_discretisation_converges_at_second_order(order):
    assert accepted(order())


@pytest.mark.parametrize("orders", [burgers_orders, heat_orders, navier_stokes_orders])
def test_every_evolution_converges_at_second_order_in_space_and_in_time(orders):
    in_space, in_time = orders()
    assert accepted(in_space)
    assert accepted(in_time)


def test_upwind_fluxes_are_of_first_order_and_central_ones_of_second():
    assert 0.85 <= recirculation_order("upwind") <= 1.15
    assert accepted(recirculation_order("central"))


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


def growing_wave(cells, coefficient=1.0):
    line = np.sin(np.pi * cell_centres(cells))
    shape = np.outer(line, line).ravel()
    fluxes = heat_fluxes(np.full((cells, cells), coefficient), 1.0 / (cells**2 * TIME_STEP))
    return ManufacturedEvolution(
        1.0 / cells, fluxes, shape, lambda time: (1.0 + 2.0 * np.pi**2 * (1.0 + time)) * shape / cells**2
    )


def test_an_evolution_by_a_wrong_equation_is_not_accepted():
    assert accepted(observed_order_in_space(growing_wave))
    assert not accepted(observed_order_in_space(lambda cells: growing_wave(cells, 1.01)))


def test_fluxes_taken_at_the_beginning_of_a_step_are_not_accepted(monkeypatch):
    class Lagging(ImplicitMidpoint):
        def __call__(self, states):
            return super().__call__(states[-1:])

    def fluxes(mass_rate):
        return VorticityFluxes(0.05, mass_rate)

    assert accepted(observed_order_in_time(fluxes))
    monkeypatch.setattr(verification, "ImplicitMidpoint", Lagging)
    assert not accepted(observed_order_in_time(fluxes))


@pytest.mark.parametrize("observe", [observed_order, observed_order_in_space])
def test_too_few_grids_are_refused(observe):
    with pytest.raises(ValueError, match=r"grids = \(4, 8\): at least three"):
        observe(lambda cells: None, grids=(4, 8))


def test_too_few_numbers_of_steps_are_refused():
    with pytest.raises(ValueError, match="at least three"):
        observed_order_in_time(lambda mass_rate: None, steps=(4, 8))


def test_an_evolution_without_an_error_shows_no_order():
    resting = Unchanging(sp.eye_array(4, format="csr"))

    def discretise(cells):
        return ManufacturedEvolution(1.0 / cells, resting, np.zeros(4), lambda time: np.zeros(4))

    with pytest.raises(ValueError, match="finite and not zero"):
        observed_order_in_space(discretise)


@pytest.mark.parametrize("exact", [1.0, np.nan])
def test_errors_that_show_no_order_are_refused(exact):
    identity = sp.eye_array(2, format="csr")
    with pytest.raises(ValueError, match="finite and not zero"):
        observed_order(lambda cells: Manufactured(1.0 / cells, identity, np.ones(2), np.full(2, exact)))
