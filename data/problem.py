"""What a problem is: frozen, validated parameters that yield instances."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from data.sampling import Sampling, Split, sample_generator

Fields = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Variable:
    """An array that every instance has: its dimensions, type, unit and meaning."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    long_name: str
    units: str = "1"
    dtype: str = "float64"


class Problem(BaseModel, ABC):
    """A family of instances; instance ``i`` is a pure function of (parameters, seed, i).

    A subclass declares its parameters as pydantic fields with bounds and descriptions. Raise ``version`` when a change
    alters the arrays that the same parameters yield: stored data sets are found by it. ``extra`` names the package
    beyond the basic installation that it imports.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    summary: ClassVar[str]
    reference: ClassVar[str]
    version: ClassVar[int] = 1
    extra: ClassVar[str] = ""

    @abstractmethod
    def variables(self) -> dict[str, Variable]:
        """The arrays that :meth:`draw` returns, without the instance dimension."""

    @abstractmethod
    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The arrays that define one instance, drawn with the instance's own generator."""

    def assemble(self, fields: Fields) -> Any:
        """The instance that methods take, built from its arrays; by default the arrays themselves."""
        return fields

    def coordinates(self) -> dict[str, NDArray[Any]]:
        """The coordinate values of named dimensions, where they have any."""
        return {}

    def coordinate_units(self) -> dict[str, str]:
        """The units of the coordinates, where they are stated."""
        return {}

    def available(self) -> int | None:
        """How many instances there are, or None where any number can be drawn."""
        return None

    def solution(self) -> Variable | None:
        """The variable that a solved instance adds, or None where a problem has no single solution."""
        return None

    def verification(self) -> dict[str, float]:
        """Numbers that prove the generator right, such as an observed order of convergence."""
        return {}


def instance_generator(seed: int, index: int) -> np.random.Generator:
    """The random generator of instance ``index``: the same stream on any worker, in any order.

    Streams of different (seed, index) are independent (NumPy's ``SeedSequence`` spawn keys, PCG64).
    """
    return sample_generator(Sampling.MONTE_CARLO, seed, Split.TRAIN, index)


def instance_index(random: np.random.Generator) -> int:
    """The index that an instance's generator, of whatever sampling, was made for; a problem that reads files asks."""
    sequence = random.bit_generator.seed_seq
    assert isinstance(sequence, np.random.SeedSequence)
    return int(sequence.spawn_key[0])


def make_fields(
    problem: Problem,
    seed: int,
    index: int,
    sampling: Sampling = Sampling.MONTE_CARLO,
    split: Split = Split.TRAIN,
) -> dict[str, NDArray[Any]]:
    """The arrays of instance ``index`` of a problem."""
    return problem.draw(sample_generator(sampling, seed, split, index))
