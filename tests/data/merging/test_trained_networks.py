import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits

from data.merging.perceptron import cross_entropy
from data.merging.trained_networks import DigitNetworks, MixtureNetworks
from data.problem import instance_generator, make_fields

TINY = {"width": 8, "models": 3, "epochs": 2}
PROBLEMS = [DigitNetworks(**TINY), MixtureNetworks(**TINY, dimension=6, points=100)]


@pytest.fixture(params=PROBLEMS, ids=lambda problem: problem.name)
def problem(request):
    return request.param


def test_instances_have_the_declared_arrays_and_are_a_function_of_seed_and_index(problem):
    fields, again, other = (make_fields(problem, 3, index) for index in (1, 1, 2))
    assert fields.keys() == problem.variables().keys()
    for name, variable in problem.variables().items():
        assert fields[name].shape == variable.shape, name
        assert fields[name].dtype == np.dtype(variable.dtype), name
        np.testing.assert_array_equal(fields[name], again[name])
    assert not np.allclose(fields["weights_1"], other["weights_1"])


def test_a_dimension_has_one_size(problem):
    sizes = {}
    for variable in problem.variables().values():
        for name, size in zip(variable.dims, variable.shape, strict=True):
            assert sizes.setdefault(name, size) == size


def test_the_networks_of_a_group_share_neither_start_nor_order(problem):
    untrained = make_fields(type(problem)(**{**problem.model_dump(), "epochs": 1, "learning_rate": 1e-12}), 0, 0)
    weights = untrained["weights_2"].reshape(3, -1)
    correlations = np.corrcoef(weights)[np.triu_indices(3, 1)]
    assert np.abs(correlations).max() < 0.5
    first, second = (stream.permutation(50) for stream in instance_generator(0, 0).spawn(2))
    assert (first != second).any()


def test_training_and_test_data_do_not_overlap_and_are_all_there_is(problem):
    group = problem.assemble(make_fields(problem, 0, 0))
    count = len(group.labels) + len(group.test_labels)
    assert len(group.labels) == len(group.inputs) == round(0.6 * count)
    rows = np.vstack([group.inputs, group.test_inputs])
    assert count == {"digit-networks": 1797, "mixture-networks": 100}[problem.name]
    if problem.name == "mixture-networks":
        assert len(np.unique(rows, axis=0)) == count
    else:
        images = load_digits().data / 16.0
        np.testing.assert_array_equal(np.sort(rows.sum(axis=1)), np.sort(images.sum(axis=1)))


def test_the_instance_has_the_trained_networks_and_their_losses(problem):
    fields = make_fields(problem, 0, 0)
    group = problem.assemble(fields)
    assert len(group.models) == 3
    for model, layers in enumerate(group.models):
        for depth, layer in enumerate(layers, 1):
            np.testing.assert_array_equal(layer[:, :-1], fields[f"weights_{depth}"][model])
            np.testing.assert_array_equal(layer[:, -1], fields[f"biases_{depth}"][model])
    layers = group.models[1]
    for layer, same in zip(layers, group.with_parameters(group.parameters()[1]), strict=True):
        np.testing.assert_array_equal(layer, same)
    assert group.test_loss(layers) == cross_entropy(group.logits(layers), group.test_labels)
    assert group.test_accuracy(layers) == (group.logits(layers).argmax(1) == group.test_labels).mean()
    loss, gradient = group.training_loss(layers)
    assert loss > 0.0
    assert [slope.shape for slope in gradient] == [layer.shape for layer in layers]
    assert [values.shape for values in group.hidden_activations(layers)] == 2 * [(len(group.labels), 8)]


def test_training_reads_digits():
    problem = DigitNetworks(width=32, models=2, epochs=10, learning_rate=5e-3)
    group = problem.assemble(make_fields(problem, 0, 0))
    assert min(group.test_accuracy(layers) for layers in group.models) > 0.9


@pytest.mark.parametrize("values", [{"models": 1}, {"width": 0}, {"epochs": 0}, {"initial_gain": 0.0}, {"size": 3}])
def test_parameters_out_of_range_are_refused(problem, values):
    with pytest.raises(ValidationError):
        type(problem)(**values)
