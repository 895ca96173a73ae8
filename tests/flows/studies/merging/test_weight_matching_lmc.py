from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from networks_to_merge import random_network, shuffled

from data.merging.trained_networks import MixtureNetworks, NetworkGroup
from flows.plan import resolve_settings
from flows.studies.merging.permutations.figures import matching_figure
from flows.studies.merging.permutations.measures import (
    BARRIER,
    GAMMAS,
    LAYERS,
    accuracy_of_pair,
    alignment,
    alignment_gain,
    alignment_name,
    barrier,
    barrier_across,
    distance_gap,
    distance_reduction,
    function_change,
    gain,
    merged_accuracy,
    share_led,
)
from flows.studies.merging.weight_matching_lmc import STUDY
from kernels.merging.networks import parameters_of, permute_units
from kernels.merging.singular_vectors import vector_alignments
from kernels.merging.weight_matching import weight_matching
from kernels.result import Result, Status
from tasks.study import Size

NAMES = [alignment_name(layer, gamma) for layer in LAYERS for gamma in GAMMAS]


@pytest.fixture
def random():
    return np.random.default_rng(4)


@pytest.fixture
def group(random):
    models = tuple(random_network(random, (3, 6, 5, 4)) for _ in range(3))
    inputs, labels = random.standard_normal((40, 3)), random.integers(4, size=40)
    return NetworkGroup(models, inputs[:20], labels[:20], inputs[20:], labels[20:])


def found(rows):
    return Result(np.asarray(rows), Status.CONVERGED, np.zeros(1))


def table(**columns):
    """One instance and the contenders a and b."""
    values = {name: (("instance", "contender"), [pair]) for name, pair in columns.items()}
    return xr.Dataset(values, {"contender": ["a", "b"]})


def test_the_barrier_is_the_excess_over_the_chord():
    losses = {0.0: 1.0, 1.0: 3.0}
    instance = SimpleNamespace(
        with_parameters=lambda parameters: parameters[0],
        test_loss=lambda share: losses.get(share, 5.0 if share == 0.5 else 0.0),
    )
    assert barrier(instance, found([[0.0], [1.0]])) == pytest.approx(3.0)
    losses.update({share / 10: 1.0 + share / 5 for share in range(11)})
    assert barrier(instance, found([[0.0], [1.0], [1.0]])) == pytest.approx(0.0, abs=1e-12)


def test_a_permuted_copy_has_a_barrier_that_weight_matching_removes(group, random):
    copy, _ = shuffled(random, group.models[0])
    learned = group.logits(group.models[0]).argmax(axis=1)
    pair = NetworkGroup((group.models[0], copy), group.inputs, group.labels, group.test_inputs, learned)
    matched = weight_matching(pair, random=random)
    assert barrier(pair, found(pair.parameters())) > 0.1
    assert barrier(pair, matched) == pytest.approx(0.0, abs=1e-12)
    assert distance_reduction(pair, matched) == pytest.approx(1.0)
    assert function_change(pair, matched) < 1e-12


def test_a_network_with_forgotten_columns_is_seen_to_change(group, random):
    order = [random.permutation(6), random.permutation(5)]
    right = permute_units(group.models[1], order)
    wrong = (right[0], group.models[1][1][order[1]], right[2])
    for layers, changed in ((right, False), (wrong, True)):
        rows = [parameters_of(layers) for layers in (group.models[0], layers, group.models[2])]
        assert (function_change(group, found(rows)) > 1e-9) == changed


def test_accuracies_are_those_of_means(group):
    rows = group.parameters()
    means = {count: group.with_parameters(rows[:count].mean(axis=0)) for count in (2, 3)}
    assert merged_accuracy(group, found(rows), count=2) == group.test_accuracy(means[2])
    assert merged_accuracy(group, found(rows)) == group.test_accuracy(means[3])
    other = group.test_accuracy(group.with_parameters((rows[0] + rows[2]) / 2))
    assert accuracy_of_pair(group, found(rows)) == pytest.approx((group.test_accuracy(means[2]) + other) / 2)


def test_alignments_are_means_over_pairs(group):
    result = found(group.parameters())
    first, *others = group.models
    for layer in LAYERS:
        weights = [layers[layer - 1][:, :-1] for layers in (first, *others)]
        expected = np.mean([vector_alignments(weights[0], other, GAMMAS) for other in weights[1:]], axis=0)
        measured = [alignment(group, result, layer, gamma) for gamma in GAMMAS]
        np.testing.assert_allclose(measured, expected, atol=1e-12)
    led = []
    for other in others:
        for layer, weights in zip(first, other, strict=True):
            everything, leading = vector_alignments(layer[:, :-1], weights[:, :-1], (0.0, 0.5))
            led.append(leading > everything)
    assert 0 < sum(led) < len(led)
    assert share_led(group, result, 0.5) == pytest.approx(np.mean(led))


def test_distances_are_compared_with_that_of_the_reference():
    near, far = np.array([[0.0, 0.0], [0.0, 2.0]]), np.array([[0.0, 0.0], [3.0, 0.0]])
    assert distance_gap(far, near) == pytest.approx(0.5)
    assert distance_gap(near, near) == 0.0
    assert distance_gap(far, np.zeros((2, 2))) == 3.0


def test_gains_are_means_over_layers():
    columns = dict.fromkeys(NAMES, (0.5, 0.1))
    columns[alignment_name(2, 0.3)] = (0.6, 0.1)
    columns[alignment_name(3, 0.3)] = (0.9, 0.0)
    results = table(**columns)
    gains = 0.4 + 0.5 + 0.9
    assert alignment_gain(results, contender="a", other="b", gamma=0.3) == pytest.approx(gains / 3)
    assert gain(results, metric=NAMES[0], contender="b", other="a") == pytest.approx(-0.4)


def test_negligible_barriers_are_alike():
    values = {BARRIER: (("problem", "instance", "contender"), [[[0.4]], [[1e-5]]])}
    results = xr.Dataset(values, {"contender": ["a"], "problem": ["narrow", "wide"]})
    ends = {"contender": "a", "numerator": "wide", "denominator": "narrow"}
    assert barrier_across(results, **ends) == pytest.approx(0.01 / 0.4)
    assert np.isnan(barrier_across(results.where(results[BARRIER] < 0.1), **ends))


@pytest.mark.parametrize(
    "statistic",
    [
        lambda results: gain(results, metric=BARRIER, contender="a", other="b"),
        lambda results: alignment_gain(results, contender="a", other="b", gamma=0.3),
        lambda results: barrier_across(results, contender="a", numerator="x", denominator="y"),
    ],
)
def test_a_statistic_without_its_variable_or_contender_is_a_key_error(statistic):
    with pytest.raises(KeyError):
        statistic(table(**dict.fromkeys(NAMES[:1], (1.0, 2.0))))
    with pytest.raises(KeyError):
        statistic(table(**dict.fromkeys((BARRIER, *NAMES), (1.0, 2.0))).drop_sel(contender="a"))


@pytest.mark.parametrize("size", list(Size))
def test_the_mixtures_have_names_by_width_and_one_pair(size):
    settings = resolve_settings(STUDY, size, {})
    problems = STUDY.problems(settings)
    widths = {name: problem.width for name, problem in problems.items() if isinstance(problem, MixtureNetworks)}
    assert widths == {f"mixture-{width}": width for width in widths.values()}
    assert list(widths.values()) == [settings.width // 4, settings.width, 2 * settings.width]
    assert {problem.models for name, problem in problems.items() if name in widths} == {2}
    assert [problems[name].models for name in ("digits", "digits-small-start")] == [settings.merged, 3]


def test_the_digits_differ_in_their_start_and_the_size_of_a_group():
    settings = resolve_settings(STUDY, Size.DEFAULT, {})
    problems = STUDY.problems(settings)
    usual, small = (problems[name].model_dump() for name in ("digits", "digits-small-start"))
    assert {key for key in usual if usual[key] != small[key]} == {"initial_gain", "models"}
    assert (usual["initial_gain"], small["initial_gain"]) == pytest.approx((2**0.5, 3**-0.5))


def test_the_figure_has_a_row_for_each_problem():
    metrics = [BARRIER, "distance_reduction", "accuracy_of_pair", "accuracy_of_three", "accuracy_of_all", *NAMES]
    tables = {problem: table(**dict.fromkeys(metrics, (0.1, 0.2))) for problem in ("first", "second")}
    figure = matching_figure(tables, problems=("first", "second"), before="a", after="b")
    assert len(figure.axes) == 6
    assert [len(axes.lines) for axes in figure.axes[:3]] == [2, 6, 2]
