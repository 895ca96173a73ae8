"""What permuting networks does to the loss between them, to their singular vectors and to their mean."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.merging.trained_networks import NetworkGroup
from kernels.merging.networks import distance_to_first
from kernels.merging.singular_vectors import vector_alignments
from kernels.result import Result
from tasks.claims import mean_of
from tasks.study import Metric, work_metric

if TYPE_CHECKING:  # Dask workers import studies, and with them this
    import xarray as xr

Array = NDArray[np.float64]

BARRIER = "barrier"
CHORD = np.linspace(0.0, 1.0, 11)
GAMMAS = (0.0, 0.3, 0.5)
LAYERS = (1, 2, 3)
GAMMA, LED = 0.3, "layers_led"
MERGED = 3
NEGLIGIBLE = 0.01
"""Barriers below this, in nats, count as this."""


def barrier(instance: NetworkGroup, result: Result) -> float:
    """By how much the test loss exceeds its chord at most, the mean over the segments from the first network."""
    first, *others = result.value
    return float(np.mean([_excess(instance, first, other) for other in others]))


def _excess(instance: NetworkGroup, first: Array, other: Array) -> float:
    mixtures = [(1.0 - share) * first + share * other for share in CHORD]
    losses = np.array([instance.test_loss(instance.with_parameters(mixture)) for mixture in mixtures])
    return float((losses - ((1.0 - CHORD) * losses[0] + CHORD * losses[-1])).max())


def distance_reduction(instance: NetworkGroup, result: Result) -> float:
    """The share by which the root mean square distance to the first network has fallen."""
    before = distance_to_first(instance.parameters())
    return 1.0 - distance_to_first(result.value) / before


def function_change(instance: NetworkGroup, result: Result) -> float:
    """The largest change of an output of a network by the permutation, over its largest output."""
    changes = []
    for layers, parameters in zip(instance.models, result.value, strict=True):
        outputs = instance.logits(layers)
        permuted = instance.logits(instance.with_parameters(parameters))
        changes.append(np.abs(permuted - outputs).max() / np.abs(outputs).max())
    return float(max(changes))


def merged_accuracy(instance: NetworkGroup, result: Result, count: int | None = None) -> float:
    """The test accuracy of the mean of the first ``count`` networks, or of all."""
    return instance.test_accuracy(instance.with_parameters(result.value[:count].mean(axis=0)))


def accuracy_of_pair(instance: NetworkGroup, result: Result) -> float:
    """The test accuracy of the mean of the first and another network, on average over the others."""
    first, *others = result.value
    means = [instance.with_parameters((first + other) / 2.0) for other in others]
    return float(np.mean([instance.test_accuracy(layers) for layers in means]))


def alignment(instance: NetworkGroup, result: Result, layer: int, gamma: float) -> float:
    """R of the weights of a layer, numbered from 1, the mean over the pairs of the first and another network."""
    return float(_alignments(instance, result)[:, LAYERS.index(layer), GAMMAS.index(gamma)].mean())


def share_led(instance: NetworkGroup, result: Result, gamma: float) -> float:
    """The share of the layers of all pairs in which R of the singular values above gamma exceeds R of all."""
    values = _alignments(instance, result)
    return float((values[:, :, GAMMAS.index(gamma)] > values[:, :, GAMMAS.index(0.0)]).mean())


@lru_cache(maxsize=1)  # all metrics of a result are measured one after another
def _alignments(instance: NetworkGroup, result: Result) -> Array:
    """R, shape (pairs, layers, gammas)."""
    first, *others = [instance.with_parameters(parameters) for parameters in result.value]
    return np.array(
        [
            [
                vector_alignments(layer[:, :-1], weights[:, :-1], GAMMAS)
                for layer, weights in zip(first, other, strict=True)
            ]
            for other in others
        ]
    )


def alignment_name(layer: int, gamma: float) -> str:
    """The metric of a layer's R."""
    return f"alignment_{layer}_gamma_{round(100 * gamma):02d}"


def distance_gap(value: Array, reference: Array) -> float:
    """The difference of the distances to the first network, relative to that of the reference."""
    least = distance_to_first(reference)
    return abs(distance_to_first(value) - least) / least if least > 0.0 else distance_to_first(value)


def gain(results: xr.Dataset, *, metric: str, contender: str, other: str) -> float:
    """By how much the mean of a metric exceeds that of another contender."""
    return mean_of(results, metric=metric, contender=contender) - mean_of(results, metric=metric, contender=other)


def alignment_gain(results: xr.Dataset, *, contender: str, other: str, gamma: float) -> float:
    """By how much R, the mean over layers, exceeds that of another contender."""
    names = [alignment_name(layer, gamma) for layer in LAYERS]
    return float(np.mean([gain(results, metric=name, contender=contender, other=other) for name in names]))


def barrier_across(results: xr.Dataset, *, contender: str, numerator: str, denominator: str) -> float:
    """The mean barrier of a contender on one problem over that on another."""
    barriers: Any = results[BARRIER].sel(contender=contender).mean("instance", skipna=False)
    top, bottom = (max(float(barriers.sel(problem=name)), NEGLIGIBLE) for name in (numerator, denominator))
    return top / bottom


METRICS = (
    Metric(BARRIER, barrier, "excess of the test loss over its chord, mean over pairs", "nat"),
    Metric("distance_reduction", distance_reduction, "share by which the distance fell (larger is better)"),
    Metric("accuracy_of_pair", accuracy_of_pair, "test accuracy of the mean of two (larger is better)"),
    Metric(
        "accuracy_of_three",
        partial(merged_accuracy, count=MERGED),
        "test accuracy of the mean of three at most (larger is better)",
    ),
    Metric("accuracy_of_all", merged_accuracy, "test accuracy of the mean of all (larger is better)"),
    Metric("function_change", function_change, "largest relative change of an output by the permutation"),
    *(
        Metric(
            alignment_name(layer, gamma),
            partial(alignment, layer=layer, gamma=gamma),
            f"R of layer {layer}, singular values above {gamma:g} of the largest (larger is better)",
        )
        for layer in LAYERS
        for gamma in GAMMAS
    ),
    Metric(
        LED,
        partial(share_led, gamma=GAMMA),
        f"share of layers where R above {GAMMA:g} exceeds R of all (larger is better)",
    ),
    work_metric("assignments", "linear assignment problems solved"),
)
