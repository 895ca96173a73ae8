import numpy as np
import pytest
from attention_layers import make_layer

from kernels.adapters.exact import blocked_gradient
from kernels.adapters.nystroem import nystroem_gradient
from kernels.adapters.polynomial import polynomial_gradient
from kernels.adapters.random_features import orthogonal_directions, random_feature_gradient
from kernels.adapters.sufficient_degree import gradient_error, sufficient_degree
from kernels.result import Status

STOCHASTIC = {"performer": (random_feature_gradient, "features"), "nystroem": (nystroem_gradient, "landmarks")}


@pytest.fixture(params=STOCHASTIC)
def baseline(request):
    return STOCHASTIC[request.param]


def test_the_error_of_random_features_falls_as_the_square_root_of_their_number():
    layer = make_layer(200)
    exact = blocked_gradient(layer).value
    errors = [
        np.mean(
            [
                gradient_error(
                    random_feature_gradient(layer, features=m, random=np.random.default_rng(seed)).value, exact
                )
                for seed in range(8)
            ]
        )
        for m in (1000, 16_000)
    ]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.35)
    assert errors[1] < 0.05


def test_with_all_points_as_landmarks_nystroem_is_exact():
    layer = make_layer(40, 3, largest_score=2.0)
    result = nystroem_gradient(layer, landmarks=80, random=np.random.default_rng(0))
    assert result.work["features"] == 80
    assert gradient_error(result.value, blocked_gradient(layer).value) < 1e-5


@pytest.mark.parametrize("largest", [0.5, 6.0, 300.0])
def test_scores_of_any_size_overflow_nothing(baseline, largest):
    method, option = baseline
    result = method(make_layer(60, largest_score=largest), **{option: 40}, random=np.random.default_rng(0))
    assert result.status in (Status.ITERATION_LIMIT, Status.BREAKDOWN, Status.NOT_FINITE)
    if largest == 0.5:
        assert result.status is Status.ITERATION_LIMIT


def test_the_same_stream_gives_the_same_bytes(baseline):
    method, option = baseline
    first, again = (method(make_layer(), **{option: 20}, random=np.random.default_rng(3)).value for _ in range(2))
    assert first.tobytes() == again.tobytes()


def test_a_layer_that_is_not_finite_gives_a_result_that_says_so(baseline):
    method, option = baseline
    layer = make_layer()
    layer.inputs[0, 0] = np.nan
    assert method(layer, **{option: 20}, random=np.random.default_rng(0)).status is Status.NOT_FINITE
    assert sufficient_degree(layer).status is Status.NOT_FINITE


@pytest.mark.parametrize("count", [1, 0, 2.0])
def test_less_than_two_features_are_refused(baseline, count):
    method, option = baseline
    with pytest.raises(ValueError, match=f"{option} must be an integer of at least 2, not {count}"):
        method(make_layer(), **{option: count}, random=np.random.default_rng(0))


def test_directions_are_orthogonal_in_groups_and_as_long_as_normal_vectors():
    directions = orthogonal_directions(10, 4, np.random.default_rng(0))
    assert directions.shape == (10, 4)
    for start in (0, 4, 8):
        group = directions[start : start + 4]
        products = group @ group.T
        np.testing.assert_allclose(products - np.diag(np.diag(products)), 0.0, atol=1e-12)
    many = orthogonal_directions(4000, 4, np.random.default_rng(1))
    assert (many**2).sum(axis=1).mean() == pytest.approx(4.0, rel=0.05)
    np.testing.assert_allclose(many.T @ many / 4000, np.eye(4), atol=0.08)


def test_the_sufficient_degree_is_the_least_that_suffices():
    layer = make_layer(largest_score=3.0)
    exact = blocked_gradient(layer).value
    result = sufficient_degree(layer, tolerance=1e-3)
    degree = int(result.work["degree"])
    assert result.converged
    errors = [
        gradient_error(polynomial_gradient(layer, degree=g, expansion="taylor").value, exact)
        for g in (degree - 1, degree)
    ]
    assert errors[1] <= 1e-3 < errors[0]
    np.testing.assert_allclose(result.history[-2:], errors, rtol=1e-6)
    few = sufficient_degree(layer, tolerance=1e-3, max_degree=degree - 1)
    assert few.status is Status.ITERATION_LIMIT
    assert few.history.size == degree


@pytest.mark.parametrize(("options", "name"), [({"tolerance": -1.0}, "tolerance"), ({"max_degree": -1}, "max_degree")])
def test_options_of_the_sufficient_degree_are_checked(options, name):
    with pytest.raises(ValueError, match=name):
        sufficient_degree(make_layer(), **options)


def test_the_error_is_that_of_the_worse_gradient():
    reference = np.stack([np.eye(2), 2.0 * np.eye(2)])
    value = reference + np.stack([0.1 * np.eye(2), 0.4 * np.eye(2)])
    assert gradient_error(value, reference) == pytest.approx(0.2)
    assert gradient_error(value, np.zeros((2, 2, 2))) == pytest.approx(np.linalg.norm(value[1]))
