import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import approx_fprime
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from data.adapters.digit_layer import DigitLayer
from data.adapters.layer import attention_output, largest_score
from data.adapters.random_layer import RandomLayer
from data.adapters.training import loss_and_gradients, trained_weights
from data.problem import make_fields

PROBLEMS = [RandomLayer(tokens=40, dimension=5, largest_score=2.0), DigitLayer(tokens=40, training_steps=20)]


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def queries_and_keys(layer):
    weights = layer.query_weights + layer.adapter_scale * layer.adapter_left @ layer.adapter_right
    return layer.inputs @ weights, layer.inputs @ layer.key_weights


def scores(layer):
    queries, keys = queries_and_keys(layer)
    return queries @ keys.T / np.sqrt(layer.inputs.shape[1])


def softmax(matrix):
    weights = np.exp(matrix - matrix.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def test_the_fields_are_as_declared_and_assembled(problem):
    fields, declared = make_fields(problem, 0, 0), problem.variables()
    assert {name: values.shape for name, values in fields.items()} == {name: v.shape for name, v in declared.items()}
    layer = problem.assemble(fields)
    for name, values in fields.items():
        assert values.dtype == np.float64
        np.testing.assert_array_equal(getattr(layer, name), values)


def test_an_instance_depends_on_seed_and_index_alone(problem):
    first, again, other, seeded = (make_fields(problem, *key) for key in ((0, 1), (0, 1), (0, 2), (1, 1)))
    for name in first:
        assert first[name].tobytes() == again[name].tobytes()
    for name in ("inputs", "targets", "adapter_left"):
        assert first[name].tobytes() not in (other[name].tobytes(), seeded[name].tobytes())


def test_the_largest_score_is_the_one_stated(problem):
    layer = problem.assemble(make_fields(problem, 0, 0))
    assert np.abs(scores(layer)).max() == pytest.approx(layer.largest_score, rel=1e-12)
    if isinstance(problem, RandomLayer):
        assert layer.largest_score == 2.0


def test_the_targets_of_a_random_layer_are_outputs_of_one_nearby():
    problem = RandomLayer(tokens=300, dimension=4, largest_score=2.0)
    layer = problem.assemble(make_fields(problem, 0, 0))
    values = layer.inputs @ layer.value_weights
    ours = softmax(scores(layer)) @ values
    assert np.linalg.norm(ours - layer.targets) < np.linalg.norm(ours)
    assert not np.allclose(ours, layer.targets, rtol=1e-2)
    assert layer.targets.min() >= values.min()
    assert layer.targets.max() <= values.max()


@pytest.mark.parametrize("tokens", [1, 20, 700])
def test_blocks_change_neither_output_nor_largest_score(tokens, monkeypatch):
    queries, keys, values = np.random.default_rng(0).standard_normal((3, tokens, 4))
    monkeypatch.setattr("data.adapters.layer._BLOCK_ENTRIES", 1)
    expected = queries @ keys.T / 2.0
    np.testing.assert_allclose(attention_output(queries, keys, values), softmax(expected) @ values, atol=1e-14)
    assert largest_score(queries, keys) == pytest.approx(np.abs(expected).max(), rel=1e-12)


def test_digits_without_noise_are_their_principal_components():
    problem = DigitLayer(tokens=1797, dimension=4, training_steps=0)
    fields = make_fields(problem, 0, 0)
    pca = PCA(4).fit(load_digits().data)
    singular = np.linalg.svd(fields["targets"], compute_uv=False)
    np.testing.assert_allclose(singular / singular[0], pca.singular_values_ / pca.singular_values_[0], rtol=1e-10)
    assert fields["targets"][:, 0].std() == pytest.approx(1.0, rel=1e-10)
    noise = fields["inputs"] - fields["targets"]
    grey_levels = noise * pca.singular_values_[0] / np.sqrt(1797)
    np.testing.assert_allclose(grey_levels.std(axis=0), 8.0, rtol=0.06)


def test_all_instances_share_the_trained_weights_and_training_raises_the_scores():
    trained, start = DigitLayer(tokens=200, training_steps=100), DigitLayer(tokens=200, training_steps=0)
    first, other, untrained = (make_fields(p, seed, 0) for p, seed in ((trained, 0), (trained, 1), (start, 0)))
    np.testing.assert_array_equal(first["key_weights"], other["key_weights"])
    assert first["largest_score"] > 2.0 * untrained["largest_score"]


def test_the_gradients_of_training_are_those_of_its_loss():
    random = np.random.default_rng(0)
    inputs, targets = random.standard_normal((2, 20, 3))
    weights = random.standard_normal((3, 3, 3))
    _, gradients = loss_and_gradients(inputs, targets, weights)
    numerical = approx_fprime(
        weights.ravel(), lambda flat: loss_and_gradients(inputs, targets, flat.reshape(3, 3, 3))[0], 1e-7
    )
    np.testing.assert_allclose(gradients.ravel(), numerical, atol=2e-6)


def test_training_lowers_the_loss():
    inputs = np.random.default_rng(0).standard_normal((50, 3))
    targets = inputs @ np.diag([1.0, 0.5, -1.0])
    losses = [
        loss_and_gradients(
            inputs, targets, trained_weights(inputs, targets, steps=k, rate=0.3, random=np.random.default_rng(1))
        )[0]
        for k in (0, 20, 200)
    ]
    assert losses[0] > losses[1] > losses[2]
    assert losses[2] < 0.3 * losses[0]


@pytest.mark.parametrize("kind", [RandomLayer, DigitLayer])
@pytest.mark.parametrize(
    "parameters", [{"tokens": 0}, {"dimension": 0}, {"rank": 0}, {"alpha": 0.0}, {"rank": 9, "dimension": 8}, {"no": 1}]
)
def test_impossible_parameters_are_refused(kind, parameters):
    with pytest.raises(ValidationError):
        kind(**parameters)


@pytest.mark.parametrize("score", [0.0, -1.0, float("nan"), 1e9])
def test_a_largest_score_that_cannot_be_is_refused(score):
    with pytest.raises(ValidationError):
        RandomLayer(largest_score=score)


def test_there_are_no_more_digits_than_images():
    with pytest.raises(ValidationError):
        DigitLayer(tokens=1798)
