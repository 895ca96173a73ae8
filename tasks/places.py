"""Where stores lie: paths of this machine and URLs that fsspec knows, and what is wrong with those in one line."""

import contextlib
import re
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
from zarr.errors import ContainsArrayError

from data.validation import InputError


class StoreError(InputError):
    """A store that cannot be used as asked; the message is one line that says what to do."""


class UnreachableError(StoreError):
    """A remote place that does not answer, does not let us in, or needs a package."""


def join_url(root: str, *parts: str) -> str:
    """A location below a root folder or URL; parts that would leave the root are refused."""
    for part in parts:
        if part in {"", ".", ".."} or "/" in part or "\\" in part:
            raise StoreError(f"store name {part!r} is not allowed: use one folder name below {root}")
    return "/".join([root.rstrip("/"), *parts])


def is_local(url: str) -> bool:
    """Whether a store URL is a path of this machine's file system."""
    return "://" not in url


def without_credentials(url: str) -> str:
    """A URL as it may be shown and stored: with neither user nor password."""
    return re.sub(r"(?<=://)[^/]*@", "", url)


def one_line(error: Exception) -> str:
    """The kind of an exception and its message, without line breaks."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def store_exists(url: str) -> bool:
    """Whether there is anything at a place."""
    with reaching(url):
        filesystem, path = fsspec.url_to_fs(url)
        return bool(filesystem.exists(path))


def require_writable(root: str) -> None:
    """Refuse, before anything is written, a root that cannot be written to.

    Raises
    ------
    StoreError
        One line that names the folder in the way, or what a remote file system says.
    """
    if not is_local(root):
        _write_remotely(root)
        return
    folder = Path(root).absolute()
    existing = next(parent for parent in [folder, *folder.parents] if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):  # permissions alone do not tell of read-only file systems
            pass
    except OSError as error:
        raise StoreError(f"store {root} is not writable: {existing}: {error.strerror}") from None


def _write_remotely(root: str) -> None:
    """Write a small object below a remote root and remove it again."""
    try:
        with reaching(root):
            filesystem, path = fsspec.url_to_fs(f"{root.rstrip('/')}/.assay-{uuid.uuid4().hex}")
            filesystem.pipe_file(path, b"may I write here?")
            filesystem.rm_file(path)
    except FileNotFoundError as error:
        raise StoreError(f"store {root} is not writable: {one_line(error)}: create its bucket first") from None


@contextlib.contextmanager
def reaching(url: str) -> Iterator[None]:
    """Say in one line what keeps us from a remote file system; what tells of its content is raised as it is.

    Raises
    ------
    UnreachableError
        The kinds of exception differ from one remote file system to the next; so do the variables that configure them.
    """
    try:
        if not is_local(url):
            fsspec.get_filesystem_class(url.partition("://")[0])
    except (ImportError, ValueError) as error:
        raise UnreachableError(f"{url} cannot be read here: {one_line(error)}") from None
    try:
        yield
    except (FileNotFoundError, NotADirectoryError, ContainsArrayError, ValueError, TypeError, LookupError):
        raise
    except Exception as error:
        if is_local(url):
            raise
        raise UnreachableError(
            f"{url} cannot be reached ({one_line(error)}): check the address and credentials in the environment"
        ) from error
