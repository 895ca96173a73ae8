"""Whether code was imported or compiled meanwhile, which is no part of what a method costs."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from numba.core.event import install_recorder

_NUMBA_COMPILES_OR_LOADS = "numba:compiler_lock"
_JAX_COMPILES = "/jax/core/compile/"


@contextmanager
def watch_loading() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether, in the body, a module was imported or numba or JAX compiled a function.

    A compiled function that numba loads from its cache counts too. Work of other threads counts as the body's.
    """
    modules = len(sys.modules)
    compiled: list[str] = []

    def heard(event: str, duration_secs: float, **_: Any) -> None:  # noqa: ARG001 - the names are JAX's
        if event.startswith(_JAX_COMPILES):
            compiled.append(event)

    with ExitStack() as stack:
        numba = stack.enter_context(install_recorder(_NUMBA_COMPILES_OR_LOADS))
        if "jax" in sys.modules:  # otherwise it is an import that tells
            from jax import monitoring

            monitoring.register_event_duration_secs_listener(heard)
            stack.callback(monitoring.unregister_event_duration_listener, heard)
        yield lambda: bool(numba.buffer or compiled or len(sys.modules) > modules)
