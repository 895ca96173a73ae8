import errno
import sqlite3

import httpx
import pytest
import requests
from distributed.client import FutureCancelledError
from mlflow.exceptions import MlflowException

from data.validation import InputError
from flows.mishaps import MishapError, mishaps_in_one_line
from tasks.failures import Failure, Origin, ShardError


def shard_error():
    return ShardError(Failure(Origin("sums", "a-study"), 3, "tcp://here", "OSError: full"))


def line_of(error, cause=None):
    with pytest.raises(MishapError) as raised, mishaps_in_one_line("store"):
        raise error from cause
    line = str(raised.value)
    assert "\n" not in line
    assert "the same command resumes" in line
    return line


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_named_with_its_file(number):
    line = line_of(OSError(number, "no room", "store/x.zarr/c/0"))
    assert "the store store cannot be written to any more (store/x.zarr/c/0 no room): make room" in line


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_store_that_became_read_only_is_named(number):
    assert "make it writable" in line_of(OSError(number, "not allowed", "store/x.zarr"))


def test_a_shard_that_met_a_full_disk_keeps_its_line():
    line = line_of(shard_error(), OSError(errno.ENOSPC, "no room"))
    assert line.startswith("the store store cannot be written to any more")
    assert str(shard_error()) in line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (sqlite3.OperationalError("database or disk is full"), "make room"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "make it writable"),
        (httpx.ConnectError("refused"), "Prefect server of its own does not answer any more"),
        (requests.ConnectionError("refused"), "MLflow server  does not answer any more"),
        (MlflowException("API request to http://host/x failed with exception: refused"), "MLflow server"),
        (FutureCancelledError("key", "scheduler-connection-lost"), "the Dask scheduler is gone"),
    ],
)
def test_what_is_gone_is_named(error, words, monkeypatch):
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert words in line_of(error)
    assert words in line_of(RuntimeError("the flow failed"), error)


def test_addresses_are_shown_without_credentials(monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://user:secret@host/api")
    assert "secret" not in line_of(httpx.ConnectError("refused"))


def test_an_answer_that_is_an_error_is_no_lost_server():
    request = httpx.Request("GET", "http://host")
    for error in (
        httpx.HTTPStatusError("500", request=request, response=httpx.Response(500)),
        requests.HTTPError("500"),
        MlflowException("API request to endpoint /x failed with error code 500 != 200"),
    ):
        with pytest.raises(type(error)), mishaps_in_one_line("store"):
            raise error


def test_bad_input_and_mistakes_of_the_program_pass():
    for error in (
        InputError("refused"),
        ZeroDivisionError("a mistake"),
        OSError(errno.ENOENT, "not there"),
        shard_error(),
    ):
        with pytest.raises(type(error)) as raised, mishaps_in_one_line("store"):
            raise error
        assert raised.value is error
