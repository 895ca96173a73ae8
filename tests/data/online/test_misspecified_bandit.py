import pickle

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits

from data.online.misspecified_bandit import (
    DIGIT_IMAGES,
    DIGIT_PIXELS,
    DigitBandit,
    Misspecification,
    SphereBandit,
    digit_images,
    g_optimal_weights,
    worst_for_least_squares,
)
from data.problem import make_fields
from data.registry import problem
from data.validation import InputError
from kernels.online.design_least_squares import g_optimal_least_squares
from kernels.online.optimal_design import g_optimal_design

SMALL = {"arm_count": 200}
PROBLEMS = [
    *(SphereBandit(dimension=8, errors=errors, **SMALL) for errors in Misspecification),
    *(DigitBandit(errors=errors, **SMALL) for errors in Misspecification),
]


def names(bandit):
    return f"{bandit.name}-{bandit.errors}"


@pytest.fixture(params=PROBLEMS, ids=names)
def small(request):
    return request.param


def test_an_instance_depends_on_seed_and_index_alone(small):
    first, again, other = make_fields(small, 0, 3), make_fields(small, 0, 3), make_fields(small, 0, 4)
    assert all(first[key].tobytes() == again[key].tobytes() for key in first)
    assert not any(np.array_equal(first[key], other[key]) for key in first)


def test_the_fields_are_as_declared(small):
    fields = make_fields(small, 0, 0)
    declared = {key: (variable.shape, variable.dtype) for key, variable in small.variables().items()}
    assert {key: (values.shape, str(values.dtype)) for key, values in fields.items()} == declared


@pytest.mark.parametrize("index", range(3))
def test_rewards_are_linear_in_few_features_but_for_the_bounded_error(small, index):
    fields = make_fields(small, 0, index)
    np.testing.assert_allclose(np.linalg.norm(fields["arms"], axis=1), 1.0)
    assert np.linalg.norm(fields["parameter"]) == pytest.approx(1.0)
    assert np.count_nonzero(fields["parameter"]) == small.sparsity
    errors = fields["rewards"] - fields["arms"] @ fields["parameter"]
    assert np.abs(errors).max() <= small.misspecification * (1 + 1e-12)


def test_the_bandit_hides_its_parameter(small):
    bandit = small.assemble(make_fields(small, 0, 0))
    assert (bandit.misspecification, bandit.sparsity) == (small.misspecification, small.sparsity)
    assert not hasattr(bandit, "parameter")


def test_one_needle_is_underrated_and_the_best():
    fields = make_fields(SphereBandit(dimension=8, errors="needle"), 0, 0)
    linear = fields["arms"] @ fields["parameter"]
    errors = fields["rewards"] - linear
    needle = int(errors.argmax())
    assert errors[needle] == pytest.approx(0.1)
    np.testing.assert_allclose(np.delete(errors, needle), -0.1)
    assert linear[needle] >= linear.max() - 0.1
    assert fields["rewards"].argmax() == needle


def test_the_adversary_knows_the_design_of_the_baseline():
    for dimension in (5, 20, 40):
        arms = make_fields(SphereBandit(dimension=dimension, arm_count=1000, errors="uniform"), 0, 0)["arms"]
        np.testing.assert_allclose(g_optimal_weights(arms), g_optimal_design(arms), atol=1e-9)
    np.testing.assert_allclose(g_optimal_weights(digit_images()), g_optimal_design(digit_images()), atol=1e-9)


@pytest.mark.parametrize("index", range(3))
def test_the_chosen_error_costs_the_baseline_more_than_random_signs(index):
    fields = make_fields(SphereBandit(dimension=20, arm_count=1000), 0, index)
    linear = fields["arms"] @ fields["parameter"]
    bandit = SphereBandit(dimension=20, arm_count=1000)

    def loss(errors):
        rewards = linear + errors
        made = bandit.assemble({"arms": fields["arms"], "rewards": rewards})
        return rewards.max() - rewards[int(g_optimal_least_squares(made).value[0])]

    signs = np.random.default_rng(0).choice([-0.1, 0.1], (20, 1000))
    assert loss(fields["rewards"] - linear) > np.mean([loss(errors) for errors in signs])


def test_of_several_decoys_the_worst_is_taken():
    fields = make_fields(SphereBandit(dimension=6, arm_count=300, errors="uniform"), 0, 0)
    arms, parameter = fields["arms"], fields["parameter"]
    weights = g_optimal_design(arms)

    def loss(decoys):
        rewards = arms @ parameter + worst_for_least_squares(arms, parameter, decoys, 0.1)
        moment = arms.T @ (weights[:, None] * arms)
        predicted = arms @ np.linalg.solve(moment, arms.T @ (weights * rewards))
        return rewards.max() - rewards[predicted.argmax()]

    each = [loss(arms[[decoy]]) for decoy in range(20)]
    assert loss(arms[:20]) == pytest.approx(max(each))
    assert max(each) > min(each)


def test_a_sparse_decoy_moves_regression_from_theta_to_as_few_other_features():
    fields = make_fields(SphereBandit(dimension=20, errors="sparse-decoy"), 0, 0)
    parameter = fields["parameter"]
    fitted = np.linalg.lstsq(fields["arms"], fields["rewards"], rcond=None)[0]
    moved = fitted - parameter
    others = np.argsort(-np.abs(np.where(parameter == 0.0, moved, 0.0)))
    assert np.abs(moved[others[:2]]).max() > 0.1
    assert np.abs(moved[others[2:18]]).max() < 0.05
    assert np.linalg.norm(fitted[parameter != 0.0]) < 1.0


def test_the_digits_are_those_of_scikit_learn_and_theta_lies_on_pixels_that_vary():
    images = load_digits().data
    assert images.shape == (DIGIT_IMAGES, DIGIT_PIXELS)
    np.testing.assert_allclose(digit_images() * np.linalg.norm(images, axis=1, keepdims=True), images)
    for index in range(20):
        fields = make_fields(DigitBandit(arm_count=100), 0, index)
        assert (np.ptp(images, axis=0)[fields["parameter"] != 0.0] > 0.0).all()
        assert len(np.unique(fields["arms"], axis=0)) == 100


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("sparse-bandit", {"dimension": 1}, "too small for sparsity=2: at least 2"),
        ("sparse-bandit", {"dimension": 3, "errors": "sparse-decoy"}, "at least 4"),
        ("sparse-bandit", {"misspecification": 0.0}, "misspecification=0.0"),
        ("sparse-bandit", {"errors": "random"}, "errors='random'"),
        ("digit-bandit", {"arm_count": 1798}, "arm_count=1798"),
        ("digit-bandit", {"sparsity": 0}, "sparsity=0"),
    ],
)
def test_parameters_out_of_range_are_refused_in_one_line(name, parameters, message):
    with pytest.raises(InputError, match=message) as refused:
        problem(name, **parameters)
    assert "\n" not in str(refused.value)


def test_a_problem_is_frozen_and_survives_pickle_and_json(small):
    with pytest.raises(ValidationError):
        small.sparsity = 3
    assert pickle.loads(pickle.dumps(small)) == small
    assert type(small).model_validate_json(small.model_dump_json()) == small
