"""Which format a location is of."""

from pathlib import Path

from data.systems.entry_point import EntryPointSystems
from data.systems.matrix_market import MatrixMarketSystems
from data.systems.npz import NpzSystems
from data.systems.source import SystemSource
from data.validation import InputError


def open_systems(location: str) -> SystemSource:
    """The systems of an .npz file, a folder of Matrix Market files, or a Python function.

    Raises
    ------
    InputError
        One line, if there is nothing at the location or nothing that is known.
    """
    path = Path(location)
    if path.is_dir():
        return MatrixMarketSystems(path)
    if path.exists():
        if path.suffix != ".npz":
            raise InputError(f"{location} is not an .npz file, a Zarr group or a folder of Matrix Market files")
        return NpzSystems(path)
    if ":" in location:
        return EntryPointSystems(location)
    raise InputError(f"{location} does not exist; a Python function is named as module:function or file.py:function")


def absolute_location(location: str) -> str:
    """The location with a path made absolute, as workers may run in other folders."""
    file, separator, function = location.rpartition(":")
    if "://" in location or (separator and not file.endswith(".py") and not Path(location).exists()):
        return location
    if separator and file.endswith(".py"):
        return f"{Path(file).expanduser().absolute()}:{function}"
    return str(Path(location).expanduser().absolute())
