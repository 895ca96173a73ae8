"""Where numbers come from: source digests, git commit, lock file, versions and thread counts."""

import ast
import hashlib
import inspect
import os
import platform
import subprocess
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
LOCK = REPOSITORY / "requirements.lock"
_OWN_PACKAGES = ("kernels", "data")
_RECORDED = ("numpy", "scipy", "numba", "zarr", "dask", "prefect", "mlflow", "pyamg")


def source_digest(thing: Callable[..., Any] | type) -> str:
    """A digest of the code behind a function or class: its module and all project modules that it imports.

    Taken from the syntax tree without docstrings, so that comments and formatting do not change it.
    """
    modules: dict[str, str] = {}
    _collect(thing.func.__module__ if isinstance(thing, partial) else thing.__module__, modules)
    return hashlib.sha256("".join(modules[name] for name in sorted(modules)).encode()).hexdigest()[:16]


def _collect(name: str, modules: dict[str, str]) -> None:
    if name in modules:
        return
    text, imported = _parsed(name)
    modules[name] = text
    for dependency in imported:
        _collect(dependency, modules)


@cache
def _parsed(name: str) -> tuple[str, tuple[str, ...]]:
    """The normalised source of a module and the project modules that it imports."""
    tree = ast.parse(inspect.getsource(import_module(name)))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    own = sorted(name for name in imported if name.split(".")[0] in _OWN_PACKAGES and _is_module(name))
    return ast.dump(tree), tuple(own)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # the name of something inside a module
        return False


@cache
def git_commit() -> str:
    """The commit of the working tree, marked where there are uncommitted changes; ``unknown`` outside a repository."""
    commit = _git("rev-parse", "HEAD")
    return f"{commit}-dirty" if commit != "unknown" and _git("status", "--porcelain") else commit


def _git(*arguments: str) -> str:
    try:
        completed = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=True)  # noqa: S603, S607
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return completed.stdout.strip()


@cache
def lock_digest() -> str:
    """SHA-256 of the requirements lock, ``unknown`` where it is not beside the code."""
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16] if LOCK.exists() else "unknown"


@cache
def environment() -> dict[str, str]:
    """What else a number depends on: the interpreter, the packages, the commit and the lock."""
    return {
        "git_commit": git_commit(),
        "lock_digest": lock_digest(),
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in _RECORDED),
    }


def machine() -> dict[str, str]:
    """The machine that timings belong to."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": "BLAS 1, numba 1 per contender",
    }
