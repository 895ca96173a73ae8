"""A time limit that also ends compiled code: the process that exceeds it ends, and leaves word of where it hung.

Only the end of a process stops a kernel that does not return to the interpreter. So the limit is for processes that
somebody starts again, as Dask's nannies do with workers; whoever comes next finds the word.
"""

import contextlib
import faulthandler
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.store import is_local

_FRAME = re.compile(r'  File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')


@dataclass(frozen=True)
class Watchdog:
    """The limit on contenders of one shard.

    Attributes
    ----------
    folder : str
        Of the results; the word lies beside them, or in this machine's temporary files where they are remote.
    shard : int
    seconds : float
    """

    folder: str
    shard: int
    seconds: float

    @contextlib.contextmanager
    def watch(self, name: str) -> Iterator[None]:
        """End this process if the body takes longer; the stacks of all its threads are left as the word of a name.

        One body can be watched at a time in a process.
        """
        self._place.mkdir(parents=True, exist_ok=True)
        with self._word(name).open("w") as file:
            faulthandler.dump_traceback_later(self.seconds, exit=True, file=file)
            try:
                yield
            finally:
                faulthandler.cancel_dump_traceback_later()

    def where_it_hung(self, name: str, caller: str) -> str | None:
        """Where an earlier process hung under this name and limit, in a call of ``caller``; None if none did."""
        word = self._word(name)
        if not word.exists() or not (stacks := word.read_text(errors="replace")):
            return None
        for stack in stacks.split("\n\n"):
            frames = list(_FRAME.finditer(stack))  # the innermost first
            if any(frame["function"] == caller for frame in frames):
                return f"{frames[0]['function']}, {Path(frames[0]['file']).name} line {frames[0]['line']}"
        return "place unknown"

    def forget(self) -> None:
        """Remove all words of this shard, whatever their limit was."""
        for word in self._place.glob(f"{self.shard}-*"):
            word.unlink()
        with contextlib.suppress(OSError):  # of other shards, or never made
            self._place.rmdir()

    @property
    def _place(self) -> Path:
        local = Path(self.folder) if is_local(self.folder) else Path(tempfile.gettempdir(), Path(self.folder).name)
        return local / "hung"

    def _word(self, name: str) -> Path:
        return self._place / f"{self.shard}-{name}-{self.seconds:g}s"
