"""Word of where a process hung or crashed, and a time limit that also ends compiled code.

Only the end of a process stops a kernel that does not return to the interpreter. So the limit is for processes that
somebody starts again, as Dask's nannies do with workers; whoever comes next finds the word.
"""

import contextlib
import faulthandler
import glob
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.places import is_local

_CRASH = re.compile(r"Fatal Python error: (?P<signal>.+)")
_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')


@dataclass(frozen=True)
class Watchdog:
    """The limit on contenders of one shard.

    Attributes
    ----------
    place : str
        What the names of the words begin with: a path, or a URL of what lies among this machine's temporary files.
    shard : int
    seconds : float
    """

    place: str
    shard: int
    seconds: float

    @contextlib.contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """End this process if the body takes longer; if it does, or crashes, all stacks are left as the word of a name.

        One body can be watched at a time in a process.
        """
        with self._word(name).open("w") as file:
            faulthandler.enable(file)
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()
                faulthandler.disable()

    def why_it_ended(self, name: str, caller: str) -> str | None:
        """Why an earlier process ended under this name and limit, in a call of ``caller``; None if none did."""
        word = self._word(name)
        if not word.exists() or not (stacks := word.read_text(errors="replace")):
            return None
        crash = _CRASH.match(stacks)
        reason = f"it crashed, {crash['signal']}" if crash else f"it took longer than the limit of {self.seconds:g} s"
        return f"{reason} ({_innermost_frame(stacks, caller)})"

    def forget(self) -> None:
        """Remove all words of this shard, whatever their limit was."""
        for word in self._prefix.parent.glob(f"{glob.escape(self._prefix.name)}*"):
            word.unlink(missing_ok=True)

    @property
    def _prefix(self) -> Path:
        path = self.place if is_local(self.place) else Path(tempfile.gettempdir(), re.sub(r"\W+", "-", self.place))
        return Path(f"{path}-{self.shard}-")

    def _word(self, name: str) -> Path:
        return Path(f"{self._prefix}{name}-{self.seconds:g}s")


def _innermost_frame(stacks: str, caller: str) -> str:
    """The innermost frame of the thread in which there is a call of ``caller``, as faulthandler wrote it."""
    for stack in stacks.split("\n\n"):
        frames = list(_FRAME.finditer(stack))
        if any(frame["function"] == caller for frame in frames):
            return f"{frames[0]['function']}, {Path(frames[0]['file']).name} line {frames[0]['line']}"
    return "place unknown"
