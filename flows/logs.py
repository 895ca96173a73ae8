"""Every flow run keeps a log in the store: what was asked, what happened, how it ended."""

import functools
import inspect
import time
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger, runtime

from flows.plan import store_root
from tasks.logs import fields, has_begun, run_log
from tasks.places import one_line
from tasks.provenance import environment

P = ParamSpec("P")
R = TypeVar("R")


def kept_log(flow_function: Callable[P, R]) -> Callable[P, R]:
    """Give a flow function a log in its store, which :func:`log_start` begins and its end or failure closes.

    The copy in MLflow is made before the flow ends, so that one ends with "logged to MLflow".
    """
    signature = inspect.signature(flow_function)

    @functools.wraps(flow_function)
    def logged(*args: P.args, **kwargs: P.kwargs) -> R:
        given = signature.bind(*args, **kwargs).arguments
        with run_log(store_root(given.get("store", "")), str(runtime.flow_run.id), str(runtime.flow_run.name)):
            begun = time.monotonic()
            try:
                result = flow_function(*args, **kwargs)
            except BaseException as error:
                _log_end(error, begun)
                raise
            _log_end(None, begun)
            return result

    return logged


def log_start(request: Mapping[str, Any]) -> None:
    """Begin the log of the current flow run with what was asked of it and what code runs; call when it is accepted."""
    get_run_logger().info("started", extra=fields(request=dict(request), **environment()))


def _log_end(error: BaseException | None, begun: float) -> None:
    if not has_begun():  # refused before anything was done
        return
    about = fields(seconds=round(time.monotonic() - begun, 3))
    if error is None:
        get_run_logger().info("ended", extra=about)
    elif isinstance(error, Exception):
        get_run_logger().error("failed: %s", one_line(error), extra=about)
    else:
        get_run_logger().error("interrupted (%s)", type(error).__name__, extra=about)
