import numpy as np
import pyamg
import pytest

from data.pde.pressure.domains import draw_liquid
from data.pde.pressure.systems import ANGLE, ANISOTROPY, PressureGallery, PressurePockets
from data.problem import make_fields
from data.registry import problem
from data.sampling import Sampling, Split, sample_generator
from data.validation import InputError

TRIAL = {"training_grid": 8, "channels": 2, "levels": 2, "ritz_vectors": 10, "vectors": 8}


def pockets(**parameters):
    return PressurePockets(**{**TRIAL, "grid": 16, "systems_per_network": 2, **parameters})


def test_consecutive_systems_share_a_network_and_the_next_ones_have_another():
    weights = [make_fields(pockets(), 0, index)["weights"] for index in range(4)]
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[2], weights[3])
    assert not np.array_equal(weights[0], weights[2])


def test_problems_of_other_sizes_and_matrices_have_the_same_networks():
    others = [pockets(grid=32), PressureGallery(**TRIAL, grid=8, systems_per_network=2)]
    for other in others:
        for index in (0, 2):
            expected = make_fields(pockets(), 7, index)["weights"]
            np.testing.assert_array_equal(make_fields(other, 7, index)["weights"], expected)


def test_pockets_have_rows_of_the_identity_and_no_right_hand_side():
    fields = make_fields(pockets(), 0, 0)
    system = pockets().assemble(fields)
    np.testing.assert_array_equal(
        system.liquid, draw_liquid(sample_generator(Sampling.MONTE_CARLO, 0, Split.TRAIN, 0), 16)
    )
    outside = ~system.liquid.ravel()
    assert outside.any()
    assert not system.rhs[outside].any()
    assert system.rhs[~outside].all()
    np.testing.assert_array_equal(system.matrix.toarray()[outside], np.eye(256)[outside])
    assert system.network.weights is fields["weights"]


def test_without_pockets_the_scheme_is_of_second_order():
    assert pockets().verification()["observed_order"] == pytest.approx(2.0, abs=0.05)


def test_the_gallerys_matrices_are_pyamgs():
    expected = {
        "poisson": pyamg.gallery.poisson((6, 6)),
        "diffusion": pyamg.gallery.stencil_grid(
            pyamg.gallery.diffusion_stencil_2d(epsilon=ANISOTROPY, theta=ANGLE, type="FE"), (6, 6)
        ),
    }
    for name, matrix in expected.items():
        gallery = PressureGallery(**TRIAL, grid=6, matrix=name)
        system = gallery.assemble(make_fields(gallery, 0, 0))
        np.testing.assert_array_equal(system.matrix.toarray(), matrix.toarray())
        assert system.liquid.all()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"grid": 15}, "grid=15 must be a multiple of 2^(levels - 1)"),
        ({"training_grid": 9}, "training_grid=9 must be a multiple"),
        ({"levels": 4, "grid": 12}, "grid=12 must be a multiple"),
        ({"batch": 9}, "batch=9 must be at most vectors=8"),
        ({"epochs": 0}, "epochs=0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan"),
        ({"chanels": 4}, "did you mean 'channels'"),
    ],
)
def test_bad_parameters_are_refused_in_one_clear_line(parameters, words):
    with pytest.raises(InputError) as refused:
        problem("pressure-pockets", **{**TRIAL, "grid": 16, "batch": 4, **parameters})
    assert words in str(refused.value)
