"""What a study is: a paper, its problems, its contenders, the metrics that score them, its claims and its sizes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from data.problem import Problem
from kernels.result import Result
from tasks.claims import Claim

if TYPE_CHECKING:  # Dask workers import studies, and draw nothing
    import xarray as xr
    from matplotlib.figure import Figure


class Size(StrEnum):
    """How large a study is run: small in the tests (seconds), default (minutes), large (nightly)."""

    SMALL = "small"
    DEFAULT = "default"
    LARGE = "large"


@dataclass(frozen=True)
class Paper:
    """The publication a study tests."""

    title: str
    authors: str
    venue: str
    claim: str


class Settings(BaseModel):
    """The parameters every study has; a study adds its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    instances: int = Field(ge=1, le=10**7, description="instances per repetition")
    repetitions: int = Field(ge=2, le=1000, description="independent repetitions: the unit of the confidence intervals")
    seed: int = Field(0, ge=0, le=2**63 - 1, description="seed of all random draws")
    shard_size: int | None = Field(
        None, ge=1, description="instances per unit of work; must divide the repetition (default: a whole repetition)"
    )

    @model_validator(mode="after")
    def _shards_divide_repetitions(self) -> "Settings":
        if self.instances % self.instances_per_shard:
            raise ValueError(f"shard_size={self.shard_size} does not divide instances={self.instances}")
        return self

    @property
    def instances_per_shard(self) -> int:
        """The shard size in force."""
        return self.shard_size or self.instances

    @property
    def count(self) -> int:
        """Instances over all repetitions."""
        return self.instances * self.repetitions


@dataclass(frozen=True)
class Contender:
    """A method with its options, under the name it has in a study.

    ``method(instance, **options)`` returns a Result; a sequential one, ``method(instances, **options)``, yields
    ``(position, Result)`` pairs in any order. A stochastic one also takes ``random``, the same stream as its peers; a
    budgeted one ``budget``, of which all that are budgeted get the same. What it spent is added to the counts of its
    work, and a result that exceeds the budget counts as failed.
    """

    name: str
    method: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    role: Literal["method", "baseline", "control"] = "baseline"
    sequential: bool = False
    stochastic: bool = False
    budgeted: bool = False
    summary: str = ""


@dataclass(frozen=True)
class Metric:
    """A number that scores one result: ``measure(instance, result)``; smaller is better unless stated."""

    name: str
    measure: Callable[[Any, Result], float]
    long_name: str
    units: str = "1"


@dataclass(frozen=True)
class Agreement:
    """The contender all others are compared with, the distance between two values and the distance allowed."""

    reference: str
    tolerance: float
    distance: Callable[[NDArray[np.float64], NDArray[np.float64]], float]


def no_budget(settings: Settings, problem: str) -> Mapping[str, float]:  # noqa: ARG001 - the signature of a budget
    """Contenders spend what they need."""
    return {}


@dataclass(frozen=True)
class Study:
    """One paper put to the test; the functions take the study's validated settings.

    Attributes
    ----------
    problems : callable
        settings -> the problems by the name claims refer to.
    contenders : callable
        (settings, problem) -> the contenders that run on it.
    claims : callable
        settings -> the claims.
    agreement : callable
        settings -> what the contenders' values are held against.
    history_length : callable
        settings -> the longest history a method can return.
    headline : tuple of str
        Contenders whose curves the figure shows first; the first is the paper's method.
    budget : callable
        (settings, problem) -> the most of every unit of work, such as ``oracle_calls``, that a budgeted contender may
        spend on an instance (a sequential one on a shard).
    method : str
        The paper's method in three sentences, for its page.
    figure : callable, optional
        Results of all problems -> the paper's main plot at this scale.
    surprises : str
        What the study's makers did not expect, for its page.
    """

    name: str
    family: str
    summary: str
    paper: Paper
    settings: type[Settings]
    sizes: Mapping[Size, Mapping[str, Any]]
    problems: Callable[[Any], Mapping[str, Problem]]
    contenders: Callable[[Any, str], tuple[Contender, ...]]
    metrics: tuple[Metric, ...]
    claims: Callable[[Any], tuple[Claim, ...]]
    agreement: Callable[[Any], Agreement]
    history_length: Callable[[Any], int]
    history_label: str
    headline: tuple[str, ...]
    budget: Callable[[Any, str], Mapping[str, float]] = no_budget
    method: str = ""
    figure: Callable[[Mapping[str, "xr.Dataset"]], "Figure"] | None = None
    surprises: str = ""


def work_metric(name: str, long_name: str, units: str = "1") -> Metric:
    """The metric that reads one of the counts a method returns."""
    return Metric(name, _WorkCount(name), long_name, units)


@dataclass(frozen=True)
class _WorkCount:
    name: str

    def __call__(self, instance: Any, result: Result) -> float:  # noqa: ARG002 - the signature of a measure
        return float(result.work.get(self.name, np.nan))


def relative_distance(value: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """Euclidean distance relative to the reference's norm (absolute where that is zero)."""
    return float(np.linalg.norm(value - reference) / (np.linalg.norm(reference) or 1.0))
