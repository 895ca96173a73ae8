"""A study of which everything fails that can."""

import ctypes
import time

import numpy as np

from data.examples.cancelling_sums import CancellingSums
from kernels.examples.compensated_summation import exact_sum
from kernels.result import Result, Status
from tasks.claims import Claim, ratio
from tasks.results import DISTANCE
from tasks.study import Agreement, Contender, Paper, Settings, Size, Study, relative_distance, work_metric

NAME = "failing"


class SpoiltSums(CancellingSums):
    """Sums the last of which cannot be drawn."""

    name = "spoilt-sums"
    note: str = ""

    def draw(self, random):
        if self.note == "spoil":
            raise ValueError("nothing to draw from")
        return super().draw(random)


class FailingSettings(Settings):
    note: str = ""


def raise_error(terms):
    raise ArithmeticError("no [sum] at all")


def overflow(terms):
    return Result(np.array([np.inf]), Status.NOT_FINITE, np.array([1.0, 0.25, np.nan]), {"additions": 1})


def eat(terms):
    return Result(np.ones(2**30), Status.CONVERGED, np.empty(0))  # 8 GiB


def crash(terms):
    ctypes.string_at(0)


def sleep(terms):
    while True:
        time.sleep(0.05)


STUDY = Study(
    name=NAME,
    family="examples",
    summary="Is every failure reported?",
    paper=Paper(title="None", authors="nobody", venue="nowhere", claim="none"),
    settings=FailingSettings,
    sizes={Size.SMALL: {"instances": 2, "repetitions": 2}},
    problems=lambda settings: {"spoilt-sums": SpoiltSums(length=10, note=settings.note)},
    contenders=lambda settings, problem: (
        Contender("exact", exact_sum, role="method"),
        Contender("raises", raise_error),
        Contender("overflows", overflow),
        Contender("eats", eat),
        Contender("sleeps", sleep),
    ),
    metrics=(work_metric("additions", "floating-point additions"),),
    claims=lambda settings: (
        Claim(
            name="beats-overflow",
            statement="None",
            source="nowhere",
            problem="spoilt-sums",
            statistic=ratio(DISTANCE, "overflows", "exact", floor=1e-16),
            threshold=10.0,
            role="paper",
        ),
    ),
    agreement=lambda settings: Agreement("exact", 1e-4, relative_distance),
    history_length=lambda settings: 3,
    history_label="error",
    headline=("exact",),
    method="None.",
)
