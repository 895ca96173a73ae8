"""What machines do to a run, said in one line: full disks, stores that became read-only, servers that are gone."""

import contextlib
import errno
import os
from collections.abc import Iterator

import httpx

from data.validation import InputError
from tasks.failures import ShardError
from tasks.places import without_credentials

_AGAIN = "the same command resumes what is unfinished"
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}
_FULL_DATABASE = ("database or disk is full", "disk I/O error", "file is too large")
_CLOSED_DATABASE = ("readonly database", "unable to open database file")


class MishapError(InputError):
    """A run that the machine ended; the message is one line that says what to mend."""


@contextlib.contextmanager
def mishaps_in_one_line(root: str) -> Iterator[None]:
    """Turn what full disks, read-only stores and lost servers raise into a line that says so.

    Raises
    ------
    MishapError
        With the original exception as its cause.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        for one in _chain(error):
            if line := _explain(one, root):
                where = f" ({error})" if isinstance(error, ShardError) else ""
                raise MishapError(line + where) from error
        raise


def _explain(error: BaseException, root: str) -> str:
    name, origin = type(error).__name__, type(error).__module__.partition(".")[0]
    if isinstance(error, OSError) and error.errno in _FULL | _CLOSED:
        return _store(error.errno in _FULL, root, f"{error.filename or ''} {error.strerror}".strip())
    if origin in {"sqlite3", "sqlalchemy", "mlflow"}:
        text = str(error)
        for phrases, full in ((_FULL_DATABASE, True), (_CLOSED_DATABASE, False)):
            if phrase := next((phrase for phrase in phrases if phrase in text), ""):
                return _store(full, root, f"MLflow: {phrase}")
    if isinstance(error, httpx.TransportError):
        address = without_credentials(os.environ.get("PREFECT_API_URL", "of its own"))
        return f"the Prefect server {address} does not answer any more ({name}): start it again, {_AGAIN}"
    # An answer that is an error is none of these: "failed with error code", HTTPError.
    if (origin == "mlflow" and "failed with exception" in str(error)) or (origin == "requests" and name != "HTTPError"):
        address = without_credentials(os.environ.get("MLFLOW_TRACKING_URI", ""))
        return f"the MLflow server {address} does not answer any more: start it again, {_AGAIN}"
    if name in {"FutureCancelledError", "FuturesCancelledError", "CommClosedError", "CancelledError"}:
        return f"the Dask scheduler is gone ({' '.join(str(error).split())}): start it again, {_AGAIN}"
    return ""


def _store(full: bool, root: str, what: str) -> str:
    mend = "make room" if full else "make it writable"
    return f"the store {root} cannot be written to any more ({what}): {mend}, {_AGAIN}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An exception and what it comes from, the nearest first."""
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
