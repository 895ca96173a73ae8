"""Systems that a Python function of yours makes: ``module:function`` or ``file.py:function``."""

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib.machinery import SourceFileLoader
from itertools import count
from pathlib import Path
from threading import Lock
from types import CodeType, ModuleType
from typing import Any

from data.linear_system import LinearSystem
from data.systems.source import DIGEST_LENGTH
from data.systems.system import BadSystemError, Defect, linear_system, one_line
from data.validation import InputError


class _EndError(InputError):
    """No pair is left."""


class EntryPointSystems:
    """The pairs (A, b) that a function of no arguments returns as a sequence, or yields one after another.

    It must give the same pairs each time: every process that solves some of them calls it. Of a sequence only those
    are asked for; an iterator is run through in each process, again from the start where an earlier pair is wanted.

    Parameters
    ----------
    name : str
        What the user wrote: the only code that is imported.

    Raises
    ------
    InputError
        If there is no such function, or it raises an exception.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._function = _function(name)
        self._pairs = self._call()
        self._is_sequence = hasattr(self._pairs, "__len__") and hasattr(self._pairs, "__getitem__")
        self._iterator = iter(()) if self._is_sequence else self._begin(self._pairs)
        self._position = 0  # of the next pair of the iterator
        self._lock = Lock()  # a Dask worker may have several threads

    @property
    def count(self) -> int:
        """The number of systems; an iterator is run through to find it."""
        return self._survey[0]

    def digest(self) -> str:
        """A digest of all systems, with what is wrong with the bad ones.

        Raises
        ------
        InputError
            If there are none.
        """
        return self._survey[1]

    def read(self, index: int) -> LinearSystem:
        """The system that a pair makes.

        Raises
        ------
        BadSystemError
            If that one is bad.
        InputError
            If an iterator ends or raises an exception before it.
        """
        if not self._is_sequence:
            with self._lock:
                return _system(self._advance(index))
        try:
            pair = self._pairs[index]
        except Exception as error:
            raise BadSystemError(Defect.UNREADABLE, one_line(error)) from error
        return _system(pair)

    @cached_property
    def _survey(self) -> tuple[int, str]:
        digest = hashlib.sha256()
        found = 0
        for index in range(len(self._pairs)) if self._is_sequence else count():
            try:
                system = self.read(index)
            except _EndError:
                break
            except BadSystemError as error:
                digest.update(str(error).encode())
            else:
                digest.update(f"{system.matrix.shape} {system.matrix.nnz}".encode())
                for values in (system.matrix.data, system.matrix.indices, system.matrix.indptr, system.rhs):
                    digest.update(values.data)
            found += 1
        if not found:
            raise InputError(f"{self._name} gives no systems")
        return found, digest.hexdigest()[:DIGEST_LENGTH]

    def _advance(self, index: int) -> Any:
        """The pair of an index, by running the iterator on to it."""
        if index < self._position:
            self._iterator, self._position = self._begin(self._call()), 0
        while True:
            try:
                pair = next(self._iterator)
            except StopIteration:
                raise _EndError(f"{self._name} gives only {self._position} systems") from None
            except Exception as error:
                raise InputError(f"{self._name} raised {one_line(error)} after {self._position} systems") from error
            self._position += 1
            if self._position > index:
                return pair

    def _begin(self, pairs: Any) -> Iterator[Any]:
        try:
            return iter(pairs)
        except TypeError:
            raise InputError(f"{self._name} gives neither a sequence nor an iterator of pairs (A, b)") from None

    def _call(self) -> Any:
        try:
            return self._function()
        except Exception as error:
            raise InputError(f"{self._name} raised {one_line(error)}; it is called without arguments") from error


def _system(pair: Any) -> LinearSystem:
    try:
        matrix, rhs = pair
    except (TypeError, ValueError):
        raise BadSystemError(Defect.UNREADABLE, f"a {type(pair).__name__} was given, not a pair (A, b)") from None
    return linear_system(matrix, rhs)


def _function(name: str) -> Callable[[], Any]:
    target, _, attribute = name.rpartition(":")
    try:
        module = _module_of_file(Path(target)) if target.endswith(".py") else importlib.import_module(target)
    except Exception as error:
        raise InputError(f"{target!r} of {name!r} cannot be imported: {one_line(error)}") from error
    function: Any = getattr(module, attribute, None)
    if not callable(function):
        raise InputError(f"{target!r} has no function {attribute!r}")
    return function  # type: ignore[no-any-return]


class _UncachedLoader(SourceFileLoader):
    """Bytecode is found by time and size of its source, which an edit within the same second may leave as they are."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the signature of a loader
        """The code of the source as it is now."""
        return self.source_to_code(self.get_data(self.path), self.path)


def _module_of_file(path: Path) -> ModuleType:
    loader = _UncachedLoader(path.stem, str(path))
    specification = importlib.util.spec_from_loader(path.stem, loader)
    assert specification is not None
    module = importlib.util.module_from_spec(specification)
    loader.exec_module(module)
    return module
