"""Every problem by its name: found by importing the package, made from parameters, refused in one clear line."""

import importlib
import pkgutil
from functools import cache
from inspect import isabstract
from typing import Any

import data
from data.problem import Problem
from data.validation import unknown, validated


@cache
def problems() -> dict[str, type[Problem]]:
    """Every concrete problem of this package by its name, sorted by name."""
    prefix = f"{data.__name__}."
    for module in pkgutil.walk_packages(data.__path__, prefix):
        importlib.import_module(module.name)
    found = {}
    pending = Problem.__subclasses__()
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        if kind.__module__.startswith(prefix) and not isabstract(kind):
            found[kind.name] = kind
    return dict(sorted(found.items()))


def problem(name: str, **parameters: Any) -> Problem:
    """Make a problem from its name and parameters.

    Parameters
    ----------
    name : str
        One of the names in :func:`problems`.
    **parameters
        The problem's own parameters; those left out take their defaults.

    Returns
    -------
    Problem

    Raises
    ------
    InputError
        A ValueError of one line, if there is no such problem or parameter, or a value is not allowed.
    """
    known = problems()
    if name not in known:
        raise unknown("problem", name, known)
    return validated(known[name], parameters)
