"""Bad input that no form can refuse: it ends a flow run with its one line, not with a traceback."""

import functools
import logging
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect.states import Failed

from data.validation import InputError

P = ParamSpec("P")
R = TypeVar("R")


def refused_in_one_line(flow_function: Callable[P, R]) -> Callable[P, R]:
    """Have an InputError end the run as Failed with its message; whoever called the flow gets the exception."""

    @functools.wraps(flow_function)
    def refusing(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return flow_function(*args, **kwargs)
        except InputError as error:
            # Prefect's engine raises the exception of a failed run once more, and logs it.
            logging.getLogger("prefect.flow_runs").addFilter(_drop_traceback)
            failed: Any = Failed(data=error, message=str(error))
            return cast("R", failed)

    return refusing


def _drop_traceback(record: logging.LogRecord) -> bool:
    if record.exc_info and isinstance(record.exc_info[1], InputError):
        record.exc_info = None
    return True
