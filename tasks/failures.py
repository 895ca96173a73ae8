"""What failed in a run, so that a person can act on it: where, why, and the one command that computes it again alone.

Imports nothing heavy: the command line needs it for its exit statuses.
"""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST_LOGGED = 3
"""Shards that the log names of each contender; the others are counted."""


@dataclass(frozen=True)
class Origin:
    """What shards belong to, and how each is computed alone.

    Attributes
    ----------
    problem : str
    study : str or None
        None for a data set that is no study's.
    arguments : sequence of str
        Of the command that computes a shard, without the shard.
    part : str
        What the option ``--shard`` says before the number of the shard.
    """

    problem: str
    study: str | None = None
    arguments: Sequence[str] = ()
    part: str = ""

    @property
    def name(self) -> str:
        """The name for people."""
        return f"{self.study}: {self.problem}" if self.study else self.problem

    def command(self, shard: int) -> str:
        """The command line that computes a shard alone."""
        return shlex.join([*self.arguments, "--shard", f"{self.part}{shard}"])


@dataclass(frozen=True)
class Failure:
    """A shard on which a contender failed, or that lost its worker.

    Attributes
    ----------
    origin : Origin
    shard : int
    worker : str
        Address, process and host.
    reason : str
    contender : str or None
        None where none was running.
    last_residual : float or None
        The last finite entry of the history; None where the method returned none.
    tried_again : bool
        Whether the worker was lost, and another one has the shard now.
    """

    origin: Origin
    shard: int
    worker: str
    reason: str
    contender: str | None = None
    last_residual: float | None = None
    tried_again: bool = False

    def __str__(self) -> str:
        """All of it in one line."""
        verb = "was running" if self.tried_again else "failed"
        who = f"{self.contender} {verb} on " if self.contender else ""
        return (
            f"{who}shard {self.shard} of {self.origin.name}: {self.reason}; last residual "
            f"{residual_text(self.last_residual)}; worker {self.worker}; alone: {self.origin.command(self.shard)}"
        )

    def as_dict(self) -> dict[str, Any]:
        """The failure as JSON-able values."""
        return {
            "study": self.origin.study,
            "problem": self.origin.problem,
            "contender": self.contender,
            "shard": self.shard,
            "worker": self.worker,
            "reason": self.reason,
            "last_residual": self.last_residual,
            "tried_again": self.tried_again,
            "command": self.origin.command(self.shard),
        }


def residual_text(residual: float | None) -> str:
    """A residual for people."""
    return "none" if residual is None else f"{residual:.3g}"


class ShardError(RuntimeError):
    """A shard that could not be computed, in one line."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass
class Failures:
    """The failures of a stage: each is told as it happens, up to a few of a contender, and the first of each is kept.

    Attributes
    ----------
    warn : callable
        Takes a line and, where it is about one, a failure; called from the thread that learns of it.
    """

    warn: Callable[..., object]
    _of_contenders: dict[str | None, list[Failure]] = field(default_factory=dict)
    _lost: dict[str | None, list[Failure]] = field(default_factory=dict)

    def add(self, failure: Failure) -> None:
        """A contender failed."""
        of_contender = self._of_contenders.setdefault(failure.contender, [])
        of_contender.append(failure)
        if len(of_contender) <= MOST_LOGGED:
            self.warn(str(failure), failure)

    def lose(self, failure: Failure) -> None:
        """A worker was lost with a shard, which is tried again."""
        self._lost.setdefault(failure.contender, []).append(failure)
        self.warn(str(failure), failure)

    def tell_the_rest(self) -> None:
        """Say how many failures the log does not name."""
        for contender, failures in self._of_contenders.items():
            if len(failures) > MOST_LOGGED:
                self.warn(f"{contender} failed on {len(failures)} shards, of which {MOST_LOGGED} are named above")

    def report(self) -> list[dict[str, Any]]:
        """The first failure of each contender, with the number of shards concerned; then the workers that were lost.

        A lost worker is not named again where the contender that it ran has failed on the shard in the end.
        """
        rows = [_first(failures) for failures in self._of_contenders.values()]
        for contender, lost in self._lost.items():
            explained = {failure.shard for failure in self._of_contenders.get(contender, [])}
            if unexplained := [failure for failure in lost if failure.shard not in explained]:
                rows.append(_first(unexplained))
        return rows


def _first(failures: Sequence[Failure]) -> dict[str, Any]:
    first = min(failures, key=lambda failure: failure.shard)
    return {**first.as_dict(), "shards": len({failure.shard for failure in failures})}
