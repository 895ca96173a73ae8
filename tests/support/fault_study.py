"""A small study with curves, one contender of which does wrong on one instance when it is told to."""

import time

import numpy as np

from data.examples.cancelling_sums import CancellingSums
from data.problem import make_fields
from kernels.examples.compensated_summation import compensated_sum, exact_sum, recursive_sum
from kernels.result import Result, Status
from tasks.claims import Claim, ratio
from tasks.results import DISTANCE
from tasks.study import Agreement, Contender, Paper, Settings, Size, Study, relative_distance, work_metric

NAME = "fault-study"
CURVE = 40
SUSPECT = "suspect"


class FaultSettings(Settings):
    length: int = 400
    mischief: str = "none"
    victim: int = 0


def partial_sums(terms):
    """The compensated sum and, as its history, the size of what is left to add."""
    result = compensated_sum(terms)
    left = np.abs([terms[first:].sum() for first in range(0, len(terms), len(terms) // CURVE)][:CURVE]) + 1e-300
    return Result(result.value, result.status, left, result.work)


def suspect_sum(terms, mischief, victim):
    """The same, but for one instance: that whose first term is the victim."""
    result = partial_sums(terms)
    if terms[0] != victim:
        return result
    if mischief == "raises":
        raise ArithmeticError("the pivot is zero")
    if mischief == "nan":
        return Result(np.array([np.nan]), Status.NOT_FINITE, np.append(result.history[:3], np.nan), result.work)
    while mischief == "hangs":
        time.sleep(0.05)
    hoard = []
    while mischief == "hoards":
        hoard.append(np.ones(2**24))
    return result


def _victim(settings):
    problem = CancellingSums(length=settings.length)
    return float(make_fields(problem, settings.seed, settings.victim)["terms"][0])


STUDY = Study(
    name=NAME,
    family="examples",
    summary="Does what machines do to a run change a byte of it?",
    paper=Paper(title="None", authors="nobody", venue="nowhere", claim="none"),
    settings=FaultSettings,
    sizes={Size.SMALL: {"instances": 2, "repetitions": 10, "shard_size": 1}},
    problems=lambda settings: {"cancelling-sums": CancellingSums(length=settings.length)},
    contenders=lambda settings, problem: (
        Contender("partial", partial_sums, role="method"),
        Contender("recursive", recursive_sum),
        Contender(SUSPECT, suspect_sum, {"mischief": settings.mischief, "victim": _victim(settings)}),
        Contender("exact", exact_sum),
    ),
    metrics=(work_metric("additions", "floating-point additions"),),
    claims=lambda settings: (
        Claim(
            name="beats-recursive",
            statement="The recursive sum's error is at least ten times that of the partial sums",
            source="nowhere",
            problem="cancelling-sums",
            statistic=ratio(DISTANCE, "recursive", "partial", floor=1e-16),
            threshold=10.0,
            role="paper",
        ),
    ),
    agreement=lambda settings: Agreement("exact", 1e-4, relative_distance),
    history_length=lambda settings: CURVE + 1,
    history_label="what is left",
    headline=("partial",),
    method="None.",
)
