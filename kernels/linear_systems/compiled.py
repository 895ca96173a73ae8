"""Compilation for sums that may be reordered, such that the same machine code is made in every process.

LLVM fuses and reorders across the functions that it inlines. What it leaves out of line exists twice, in the function's
own machine code and in its caller's, rounded differently; a process that compiles runs the first, one that loads the
cache the second. And a function that numba finds in its cache cannot be inlined. Therefore only what Python calls is
cached, and all that it calls in turn is inlined into it.
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
    """Compile a function into the compiled functions that call it."""
    return cast(Function, njit(forceinline=True, **_OPTIONS)(function))


def entry_kernel(function: Function) -> Function:
    """Compile a function that Python calls, and cache it with all that it calls; a kernel gets an entry beside it."""
    return cast(Function, njit(cache=True, **_OPTIONS)(getattr(function, "py_func", function)))
