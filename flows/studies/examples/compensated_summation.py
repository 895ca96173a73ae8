"""Compensated summation against the sums people use: the smallest complete study."""

from pydantic import Field

from data.examples.cancelling_sums import CancellingSums
from kernels.examples.compensated_summation import compensated_sum, exact_sum, pairwise_sum, recursive_sum
from tasks.claims import Claim, ratio
from tasks.results import DISTANCE
from tasks.study import Agreement, Contender, Paper, Settings, Size, Study, relative_distance, work_metric


class SummationSettings(Settings):
    """The parameters of the study."""

    length: int = Field(1000, ge=2, le=10**7, multiple_of=2, description="terms per sum")


STUDY = Study(
    name="compensated-summation",
    family="examples",
    summary="Does compensated summation lose fewer digits than the usual sums?",
    paper=Paper(
        title="Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen",
        authors="A. Neumaier",
        venue="ZAMM 54, 1974",
        claim="The error of the compensated sum does not grow with the number of terms",
    ),
    settings=SummationSettings,
    sizes={
        Size.SMALL: {"instances": 8, "repetitions": 3},
        Size.DEFAULT: {"instances": 100, "repetitions": 5},
        Size.LARGE: {"instances": 1000, "repetitions": 10, "length": 100_000},
    },
    problems=lambda settings: {"cancelling-sums": CancellingSums(length=settings.length)},
    contenders=lambda settings, problem: (
        Contender("compensated", compensated_sum, role="method"),
        Contender("recursive", recursive_sum),
        Contender("pairwise", pairwise_sum),
        Contender("exact", exact_sum),
    ),
    metrics=(work_metric("additions", "floating-point additions"),),
    claims=lambda settings: tuple(
        Claim(
            name=f"beats-{baseline}",
            statement=f"The {baseline} sum's error is at least ten times that of the compensated sum",
            source="algorithm IV and its error bound",
            problem="cancelling-sums",
            statistic=ratio(DISTANCE, baseline, "compensated", floor=1e-16),
            threshold=10.0,
            role="paper" if baseline == "recursive" else "practice",
        )
        for baseline in ("recursive", "pairwise")
    ),
    agreement=lambda settings: Agreement("exact", 1e-4, relative_distance),
    history_length=lambda settings: 1,
    history_label="none",
    headline=("compensated",),
    method="A running sum loses the low digits of the smaller operand of each addition. Neumaier's algorithm IV "
    "recovers them exactly, whichever operand is smaller, and adds them up on the side. At the end the "
    "side sum corrects the total.",
)
