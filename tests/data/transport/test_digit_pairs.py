import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits

from data.problem import make_fields
from data.transport.digit_pairs import DigitPairs, digit_images, pixel_costs, resample


def test_the_masses_are_two_images_over_a_background():
    problem = DigitPairs(side=8, background=0.25)
    fields = make_fields(problem, 0, 0)
    images = load_digits().images
    for masses in (fields["source"], fields["target"]):
        assert masses.sum() == pytest.approx(1.0, abs=1e-15)
        assert masses.min() == pytest.approx(0.25 / 64)
        grey = masses - masses.min()
        assert np.isclose(grey / grey.sum(), images / images.sum(axis=(1, 2), keepdims=True)).all(axis=(1, 2)).any()
    assert not np.array_equal(fields["source"], fields["target"])


def test_resampling_on_the_same_grid_changes_nothing():
    np.testing.assert_allclose(resample(digit_images()[3], 8), digit_images()[3], rtol=1e-14)


def test_resampling_is_exact_for_a_plane_away_from_the_edge():
    y, x = np.meshgrid((np.arange(8) + 0.5) / 8, (np.arange(8) + 0.5) / 8, indexing="ij")
    fine = (np.arange(20) + 0.5) / 20
    expected = 1.0 + 2.0 * fine[:, np.newaxis] - fine
    inner = slice(2, -2)
    np.testing.assert_allclose(resample(1.0 + 2.0 * y - x, 20)[inner, inner], expected[inner, inner], rtol=1e-13)


@pytest.mark.parametrize(("ground", "power"), [("sqeuclidean", 2), ("cityblock", 1)])
def test_costs_are_distances_of_pixels_scaled_to_one(ground, power):
    costs = pixel_costs(3, ground)
    y, x = np.divmod(np.arange(9), 3)
    distances = np.abs(y[:, None] - y) ** power + np.abs(x[:, None] - x) ** power
    np.testing.assert_allclose(costs, distances / distances.max(), atol=1e-15)


def test_what_is_shared_between_instances_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        pixel_costs(3, "sqeuclidean")[0, 0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        digit_images()[0, 0, 0] = 1.0


def test_an_instance_depends_on_seed_and_index_alone_and_fits_its_declaration():
    problem = DigitPairs(side=10)
    first, again, other = (make_fields(problem, 0, index) for index in (3, 3, 4))
    assert {name: values.shape for name, values in first.items()} == {
        name: variable.shape for name, variable in problem.variables().items()
    }
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)
    instance = problem.assemble(first)
    assert instance.cost.shape == (100, 100)
    assert instance.regularisation == 1.0 / problem.eta
    np.testing.assert_array_equal(instance.source, first["source"].ravel())
    np.testing.assert_allclose(problem.coordinates()["x"], np.linspace(0.05, 0.95, 10))


@pytest.mark.parametrize("parameters", [{"side": 1}, {"background": 0.0}, {"ground": "cosine"}, {"eta": 0.0}])
def test_impossible_parameters_are_refused(parameters):
    with pytest.raises(ValidationError):
        DigitPairs(**parameters)
