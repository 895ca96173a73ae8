"""A sequence of systems of your own as a problem: its instances are read, and bad ones are passed over."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import Field, computed_field, model_validator

from data.linear_system import LinearSystem
from data.problem import Fields, Problem, Variable, instance_index
from data.systems.opening import open_systems
from data.systems.source import SystemSource
from data.systems.system import BadSystemError, Defect, require_pattern, require_structural_rank
from data.validation import InputError
from kernels.result import Result, Status
from tasks.study import Contender
from tasks.zarr_systems import ZarrSystems, is_zarr


class OwnSystems(Problem):
    """Instance i is system i of the sequence; all have the sparsity pattern of the first that can be solved.

    The systems stay where they lie: what is stored of an instance is only what is wrong with it.
    """

    name: ClassVar[str] = "own-systems"
    summary: ClassVar[str] = "Solutions of your own sequence of linear systems"
    reference: ClassVar[str] = "your own systems"

    systems: str = Field(description="where they lie; every worker must be able to read it")

    @computed_field(description="digest of all systems, so that a store's name changes with them")  # type: ignore[prop-decorator]
    @cached_property
    def content(self) -> str:
        """The digest of all systems."""
        source = _open(self.systems)
        digest = source.digest()
        _sources[self.systems] = digest, source
        return digest

    @computed_field(description="the system whose size and sparsity pattern all must have")  # type: ignore[prop-decorator]
    @cached_property
    def first(self) -> int:
        """The first system that can be solved."""
        source, defects = self._source, []
        for index in range(source.count):
            try:
                require_structural_rank(source.read(index))
            except BadSystemError as error:
                defects.append(str(error))
            else:
                return index
        raise InputError(f"{self.systems} holds no system that can be solved; system 0 is {defects[0]}")

    @model_validator(mode="after")
    def _some_can_be_solved(self) -> Self:
        self.solution()  # which needs the first of them
        return self

    @property
    def _source(self) -> SystemSource:
        return _opened(self.systems, self.content)

    @property
    def _first_system(self) -> LinearSystem:
        return _read(self.systems, self.content, self.first)

    def check(self, index: int) -> LinearSystem:
        """A system that can be solved.

        Raises
        ------
        BadSystemError
            With what is wrong with it.
        """
        system = self._source.read(index)
        require_pattern(system, self._first_system)
        return system

    def variables(self) -> dict[str, Variable]:
        """What is wrong with a system."""
        legend = ", ".join(f"{defect.code} = {defect}" for defect in Defect)
        return {"defect": Variable((), (), f"why a system is not solved: {legend}", dtype="int8")}

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The defect of the system and, where it has none, its numbers, which are not stored; nothing is random."""
        try:
            system = self.check(instance_index(random))
        except BadSystemError as error:
            return {"defect": np.array(error.defect.code)}
        return {"defect": np.array(Defect.NONE.code), "entries": system.matrix.data, "rhs": system.rhs}

    def assemble(self, fields: Fields) -> LinearSystem | None:
        """The system, or None for a bad one."""
        if fields["defect"] != Defect.NONE.code:
            return None
        pattern = self._first_system.matrix
        matrix = sp.csr_array((fields["entries"], pattern.indices, pattern.indptr), shape=pattern.shape)
        return LinearSystem(matrix, fields["rhs"], fields["entries"])

    def available(self) -> int:
        """The number of systems, bad ones included."""
        return self._source.count

    def solution(self) -> Variable:
        """The unknowns of a system."""
        return Variable(("unknown",), self._first_system.rhs.shape, "solution of the system")


def sound_systems_only(contender: Contender) -> Contender:
    """The contender on instances some of which are None: those fail, and the method never sees them."""
    guard = _SequenceOfSound if contender.sequential else _Sound
    return replace(contender, method=guard(contender.method))


# As partials they are pickled, and have their source digested, as the methods that they guard.
class _Sound(partial[Result]):
    def __call__(self, system: Any, /, **options: Any) -> Result:
        return _not_solved() if system is None else self.func(system, **options)


class _SequenceOfSound(partial[Iterator[tuple[int, Result]]]):
    def __call__(self, systems: Sequence[Any], /, **options: Any) -> Iterator[tuple[int, Result]]:
        sound = [position for position, system in enumerate(systems) if system is not None]
        yield from ((position, _not_solved()) for position, system in enumerate(systems) if system is None)
        if sound:
            results = self.func([systems[position] for position in sound], **options)
            yield from ((sound[position], result) for position, result in results)


def _not_solved() -> Result:
    return Result(np.empty(0), Status.FAILED, np.empty(0))


def _open(location: str) -> SystemSource:
    return ZarrSystems(location) if is_zarr(location) else open_systems(location)


_sources: dict[str, tuple[str, SystemSource]] = {}  # by location, with the digest of what lay there


def _opened(location: str, content: str) -> SystemSource:
    if location not in _sources or _sources[location][0] != content:
        _sources[location] = content, _open(location)
    return _sources[location][1]


@lru_cache(maxsize=4)
def _read(location: str, content: str, index: int) -> LinearSystem:
    return _opened(location, content).read(index)
