"""What every format offers: a number of systems, each read when it is asked for, and a digest of them all."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from data.linear_system import LinearSystem
from data.validation import InputError

DIGEST_LENGTH = 16


class SystemSource(Protocol):
    """A sequence of systems that stays where it lies until one is read."""

    @property
    def count(self) -> int:
        """The number of systems, bad ones included."""
        ...

    def read(self, index: int) -> LinearSystem:
        """One system; raises BadSystemError if that one is bad."""
        ...

    def digest(self) -> str:
        """A digest of the content, by which a changed input is told from the one that was solved."""
        ...


def digest_files(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of files.

    Raises
    ------
    InputError
        If one of them cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256")
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from None
        digest.update(f"{path.name} {content.hexdigest()}\n".encode())
    return digest.hexdigest()[:DIGEST_LENGTH]
