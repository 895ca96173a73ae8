from itertools import permutations

import numpy as np
import pytest
from networks_to_merge import group_of, random_network, shuffled

from kernels.merging.baselines import activation_matching, no_permutation, random_permutation
from kernels.merging.networks import identity_permutations, parameters_of, permute_units
from kernels.merging.straight_through import straight_through_matching
from kernels.merging.weight_matching import weight_matching
from kernels.result import Status

SIZES = (4, 5, 5, 2)


@pytest.fixture
def random():
    return np.random.default_rng(11)


def hidden(inputs):
    def activations(layers):
        values = [inputs]
        for layer in layers[:-1]:
            values.append(np.maximum(values[-1] @ layer[:, :-1].T + layer[:, -1], 0.0))
        return values[1:]

    return activations


def squared_distance(target):
    """A loss of which the minimum is known: the squared distance of the parameters to a target."""

    def loss(layers):
        differences = [layer - goal for layer, goal in zip(layers, target, strict=True)]
        return sum(float((d**2).sum()) for d in differences), tuple(2.0 * d for d in differences)

    return loss


def test_activations_of_a_permuted_copy_are_matched_exactly(random):
    layers = random_network(random, (6, 12, 12, 3))
    copy, _ = shuffled(random, layers)
    group = group_of(layers, copy, hidden_activations=hidden(random.standard_normal((200, 6))))
    result = activation_matching(group)
    assert result.status is Status.CONVERGED
    np.testing.assert_array_equal(result.value[1], parameters_of(layers))
    assert result.work["assignments"] == 2


def test_activation_matching_maximises_the_correlations(random):
    models = [random_network(random, (4, 4, 2)) for _ in range(2)]
    activations = hidden(random.standard_normal((50, 4)) + 1.0)
    result = activation_matching(group_of(*models, hidden_activations=activations))
    first, second = (activations(layers)[0] for layers in models)
    correlations = np.corrcoef(first.T, second.T)[:4, 4:]
    best = max(permutations(range(4)), key=lambda order: correlations[range(4), order].sum())
    np.testing.assert_array_equal(result.value[1], parameters_of(permute_units(models[1], [np.array(best)])))


def test_units_that_are_always_off_do_not_hinder_activation_matching(random):
    models = [random_network(random, SIZES) for _ in range(2)]
    models[0][0][1] = [0.0, 0.0, 0.0, 0.0, -1.0]
    group = group_of(*models, hidden_activations=hidden(random.standard_normal((50, 4))))
    assert np.isfinite(activation_matching(group).value).all()


def test_without_a_permutation_the_networks_are_as_they_were(random):
    models = [random_network(random, SIZES) for _ in range(3)]
    np.testing.assert_array_equal(no_permutation(group_of(*models)).value, [parameters_of(m) for m in models])


def test_a_random_permutation_moves_all_networks_but_the_first(random):
    models = [random_network(random, SIZES) for _ in range(3)]
    rows = random_permutation(group_of(*models), random=random).value
    for position, (row, layers) in enumerate(zip(rows, models, strict=True)):
        assert (row == parameters_of(layers)).all() == (position == 0)
        np.testing.assert_array_equal(np.sort(row), np.sort(parameters_of(layers)))


def test_the_straight_through_estimator_starts_where_weight_matching_ends(random):
    models = [random_network(random, SIZES) for _ in range(2)]
    group = group_of(*models, training_loss=squared_distance(models[0]))
    one = straight_through_matching(group, random=np.random.default_rng(0), steps=1, learning_rate=1e-3)
    matched = weight_matching(group, random=np.random.default_rng(0))
    np.testing.assert_array_equal(one.value, matched.value)
    assert one.status is Status.ITERATION_LIMIT
    assert one.work["gradients"] == 1


def test_started_at_the_network_itself_it_begins_without_a_permutation(random):
    models = [random_network(random, SIZES) for _ in range(2)]
    group = group_of(*models, training_loss=squared_distance(models[0]))
    one = straight_through_matching(group, random=random, steps=1, learning_rate=1e-3, start="model")
    np.testing.assert_array_equal(one.value[1], parameters_of(models[1]))


@pytest.mark.parametrize("start", ["reference", "model"])
def test_it_finds_the_permutations_whose_mean_has_the_least_loss(random, start):
    layers = random_network(random, SIZES)
    copy, orders = shuffled(random, layers)
    wanted = [random.permutation(5) for _ in range(2)]
    goal = permute_units(layers, wanted)
    middle = tuple((first + second) / 2.0 for first, second in zip(layers, goal, strict=True))
    group = group_of(layers, copy, training_loss=squared_distance(middle))
    result = straight_through_matching(group, random=random, steps=300, learning_rate=0.05, start=start)
    np.testing.assert_array_equal(result.value[1], parameters_of(goal))
    assert len(orders) == 2


def test_more_steps_never_end_at_a_larger_loss(random):
    models = [random_network(random, (3, 8, 8, 2)) for _ in range(2)]
    loss = squared_distance(random_network(random, (3, 8, 8, 2)))
    group = group_of(*models, training_loss=loss)
    losses = []
    for steps in (1, 10, 40):
        found = straight_through_matching(group, random=np.random.default_rng(0), steps=steps, learning_rate=0.1)
        halves = np.split(found.value.mean(axis=0), np.cumsum([layer.size for layer in models[0]])[:-1])
        losses.append(loss([half.reshape(x.shape) for half, x in zip(halves, models[0], strict=True)])[0])
    assert losses[0] >= losses[1] >= losses[2]
    assert losses[2] < losses[0]


@pytest.mark.parametrize(
    "method",
    [
        activation_matching,
        no_permutation,
        lambda group: random_permutation(group, random=np.random.default_rng(0)),
        lambda group: straight_through_matching(group, random=np.random.default_rng(0), steps=1, learning_rate=0.1),
    ],
)
def test_nan_ends_as_not_finite_and_a_single_network_is_refused(random, method):
    layers = random_network(random, SIZES)
    with pytest.raises(ValueError, match="at least two networks"):
        method(group_of(layers))
    broken = random_network(random, SIZES)
    broken[1][0, 0] = np.inf
    assert method(group_of(layers, broken)).status is Status.NOT_FINITE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, not 0.0"),
        ({"learning_rate": np.nan}, "learning_rate must be positive and finite, not nan"),
        ({"start": "middle"}, "start must be 'reference' or 'model', not 'middle'"),
    ],
)
def test_options_out_of_range_are_refused(random, options, message):
    models = [random_network(random, SIZES) for _ in range(2)]
    with pytest.raises(ValueError, match=message):
        straight_through_matching(group_of(*models), random=random, **{"steps": 1, "learning_rate": 0.1, **options})


def test_identity_permutations_leave_units_where_they_are(random):
    layers = random_network(random, SIZES)
    permuted = permute_units(layers, identity_permutations(layers))
    np.testing.assert_array_equal(parameters_of(permuted), parameters_of(layers))
