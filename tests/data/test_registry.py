import pytest

from data.pde.darcy import DarcyLognormal
from data.registry import problem, problems
from data.validation import InputError


def test_the_pde_problems_are_found_and_sorted():
    names = list(problems())
    assert names == sorted(names)
    assert {
        "burgers",
        "convection-diffusion",
        "convection-diffusion-recirculating",
        "darcy-3d",
        "darcy-anisotropic",
        "darcy-lognormal",
        "darcy-parametric",
        "darcy-published",
        "darcy-thresholded",
        "heat",
        "helmholtz",
        "helmholtz-absorbing",
        "navier-stokes",
        "poisson",
        "thermal",
    } <= set(names)


def test_every_problem_is_found_under_its_own_name():
    assert all(kind.name == name for name, kind in problems().items())


def test_a_problem_is_made_from_its_name_and_parameters():
    assert problem("darcy-lognormal", grid=8) == DarcyLognormal(grid=8)


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("darcy-lognrmal", {}, ["darcy-lognrmal", "did you mean 'darcy-lognormal'", "allowed", "helmholtz"]),
        ("darcy-lognormal", {"gird": 8}, ["gird", "did you mean 'grid'", "smoothness"]),
        ("darcy-lognormal", {"grid": 3}, ["grid=3", "greater than or equal to 4"]),
        ("darcy-lognormal", {"grid": "many"}, ["grid='many'", "integer"]),
        ("darcy-lognormal", {"smoothness": float("nan")}, ["smoothness=nan", "finite"]),
        ("darcy-lognormal", {"grid": 3, "gird": 8}, ["grid=3", "gird"]),
        ("helmholtz", {"grid": 16}, ["grid=16 gives 4.0 points per wavelength at wave_number=25; at least 6"]),
        ("convection-diffusion", {"viscosity": 0.0}, ["viscosity=0.0", "greater than"]),
        ("convection-diffusion-recirculating", {"fluxes": "down"}, ["fluxes='down'", "'upwind' or 'central'"]),
        ("convection-diffusion-recirculating", {"cell_peclet": 101.0}, ["cell_peclet=101.0", "less than or equal"]),
        ("darcy-3d", {"grid": 129}, ["grid: one field of 129 x 129 x 129 numbers", "at most 128"]),
        ("darcy-anisotropic", {"anisotropy": 0.5}, ["anisotropy=0.5", "greater than or equal to 1"]),
        ("heat", {"grid": 2049}, ["grid: one field of 2049 x 2049 numbers", "at most 2048"]),
        ("heat", {"steps": 0}, ["steps=0", "greater than or equal to 1"]),
        ("burgers", {"duration": 0.0}, ["duration=0.0", "greater than 0"]),
        ("navier-stokes", {"viscosity": -1.0}, ["viscosity=-1.0", "greater than"]),
        ("helmholtz-absorbing", {"grid": 16}, ["grid=16 gives 4.0 points per wavelength"]),
    ],
)
def test_bad_input_is_refused_in_one_clear_line(name, parameters, words):
    with pytest.raises(InputError) as caught:
        problem(name, **parameters)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words)
