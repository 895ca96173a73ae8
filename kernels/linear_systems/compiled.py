"""Compilation for sums that may be reordered, such that the same machine code is made in every process.

LLVM fuses and reorders across the functions that it inlines. A function that numba finds in its cache cannot be inlined
into one that is being compiled, so results would depend, in the last bits, on what happened to be cached. Therefore
only what Python calls is cached, and what it calls in turn is compiled into it.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz"},
}  # NaN and infinity keep their meaning


def kernel(function: Function) -> Function:
    """Compile a function that other compiled functions call."""
    return cast(Function, njit(**_OPTIONS)(function))


def entry_kernel(function: Function) -> Function:
    """Compile a function that Python calls, and cache it with all that it calls."""
    return cast(Function, njit(cache=True, **_OPTIONS)(function))
