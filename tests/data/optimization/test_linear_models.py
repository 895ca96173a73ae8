import numpy as np
import pytest
from pydantic import ValidationError

from data.optimization.linear_models import (
    DigitsSoftmax,
    ScaledLeastSquares,
    ScaledLogistic,
    ScaledSoftmax,
    digits,
    scaled_features,
    sparse_weights,
)
from data.optimization.nonnegative_models import DigitsCoding, NonnegativeLasso, PlantedActiveSet
from data.problem import make_fields

PROBLEMS = [
    ScaledLeastSquares(examples=30, features=20),
    ScaledLogistic(examples=30, features=20),
    ScaledSoftmax(examples=40, features=6, classes=3),
    DigitsSoftmax(examples_per_class=2),
    NonnegativeLasso(examples=30, features=20),
    PlantedActiveSet(examples=30, features=20),
    DigitsCoding(images=12),
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem.name)
def test_instances_are_as_declared_and_depend_on_seed_and_index_alone(problem):
    fields, again, other = make_fields(problem, 0, 1), make_fields(problem, 0, 1), make_fields(problem, 0, 2)
    declared = {key: (variable.shape, np.dtype(variable.dtype)) for key, variable in problem.variables().items()}
    assert {key: (values.shape, values.dtype) for key, values in fields.items()} == declared
    assert all(np.isfinite(values).all() for values in fields.values())
    assert all(np.array_equal(fields[key], again[key]) for key in fields)
    assert not np.array_equal(fields["features"], other["features"])
    model = problem.assemble(fields)
    assert model.features.shape == (model.targets.size, problem.variables()["features"].shape[1])


def test_features_are_as_sparse_and_as_badly_scaled_as_stated():
    features = scaled_features(np.random.default_rng(0), 200, 2000)
    assert (features != 0.0).mean() == pytest.approx(10 * np.log(200) / 200, abs=0.01)
    # an entry has mean one over its column's scale, which has standard deviation 10
    scales = features.sum(axis=0) / (features != 0.0).sum(axis=0)
    assert scales.std() == pytest.approx(10.0, rel=0.2)


def test_few_examples_keep_all_entries():
    assert (scaled_features(np.random.default_rng(0), 5, 40) != 0.0).all()


def test_a_tenth_of_the_weights_is_not_zero():
    assert np.count_nonzero(sparse_weights(np.random.default_rng(0), 50)) == 5
    assert np.count_nonzero(sparse_weights(np.random.default_rng(0), 3)) == 1


def test_signs_flip_as_often_as_asked():
    plain, flipped = (ScaledLogistic(examples=400, features=5, flipped=share) for share in (0.0, 0.3))
    disagree = make_fields(plain, 0, 0)["targets"] != make_fields(flipped, 0, 0)["targets"]
    assert disagree.mean() == pytest.approx(0.3, abs=0.07)


def test_every_class_has_an_example():
    for index in range(5):
        targets = make_fields(PROBLEMS[2], 0, index)["targets"]
        assert np.unique(targets).tolist() == [0.0, 1.0, 2.0]


def test_digits_are_real_images_each_used_once():
    images, classes = digits()
    fields = make_fields(PROBLEMS[-1], 0, 0)
    used = np.vstack([fields["features"].T, fields["targets"]])
    rows = {image.tobytes() for image in images}
    assert all(np.ascontiguousarray(image).tobytes() in rows for image in used)
    assert images.min() == 0.0
    assert images.max() == 1.0
    assert np.bincount(classes).min() == 174


def test_as_many_images_of_each_digit_are_drawn():
    assert np.bincount(make_fields(PROBLEMS[3], 0, 0)["targets"].astype(int)).tolist() == [2] * 10


def test_the_penalty_is_a_fraction_of_that_which_leaves_nothing():
    problem = NonnegativeLasso(examples=30, features=20, fraction=1.0)
    model = problem.assemble(make_fields(problem, 0, 0))
    assert (model.features.T @ model.targets).max() == pytest.approx(model.penalty)


@pytest.mark.parametrize("slack", [1e-1, 1e-4])
def test_the_planted_solution_is_optimal_with_the_planted_slack(slack):
    problem = PlantedActiveSet(examples=45, features=30, slack=slack)
    fields = make_fields(problem, 0, 3)
    solution = fields["solution"]
    gradient = fields["features"].T @ (fields["features"] @ solution - fields["targets"])
    free = solution > 0.0
    assert free.sum() == 3
    np.testing.assert_allclose(gradient[free], 0.0, atol=1e-12)
    assert gradient[~free].min() == pytest.approx(slack)
    assert gradient[~free].max() <= 1.0 + 1e-12


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (PlantedActiveSet, {"examples": 10, "features": 20}),
        (PlantedActiveSet, {"slack": 0.0}),
        (ScaledSoftmax, {"examples": 20, "classes": 10}),
        (ScaledLogistic, {"ridge": 0.0}),
        (DigitsSoftmax, {"examples_per_class": 175}),
        (DigitsCoding, {"images": 1797}),
        (NonnegativeLasso, {"fraction": 1.5}),
    ],
)
def test_bad_parameters_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        kind(**parameters)
