"""Systems as a folder of Matrix Market files: NAME.mtx with NAME_rhs.mtx or NAME_b.mtx, in the order of the names."""

from pathlib import Path
from typing import Any

from scipy.io import mminfo, mmread

from data.linear_system import LinearSystem
from data.systems.source import digest_files
from data.systems.system import BadSystemError, Defect, linear_system
from data.validation import InputError

RHS_ENDINGS = ("_rhs", "_b")


class MatrixMarketSystems:
    """The systems of a folder.

    Raises
    ------
    InputError
        If there is no matrix in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = sorted(folder.glob("*.mtx"))
        self._names = sorted({_name(path) for path in self._files})
        self.count = len(self._names)
        if not self._names:
            raise InputError(f"{folder} is no Zarr group and holds no Matrix Market files NAME.mtx and NAME_rhs.mtx")

    def digest(self) -> str:
        """A digest of all files, right-hand sides included."""
        return digest_files(self._files)

    def read(self, index: int) -> LinearSystem:
        """The system of one pair of files."""
        name = self._names[index]
        path = self._present(f"{name}.mtx")
        right_hand_side = self._present(*(f"{name}{ending}.mtx" for ending in RHS_ENDINGS))
        rows, columns, entries = _size(path)
        if rows != columns:
            raise BadSystemError(Defect.NOT_SQUARE, f"{path.name} is {rows} x {columns}")
        if 2 * entries < rows:  # a symmetric file holds half of the entries
            raise BadSystemError(Defect.STRUCTURALLY_SINGULAR, f"{path.name} has {entries} entries in {rows} rows")
        length, width, _ = _size(right_hand_side)
        if length * width != rows:
            raise BadSystemError(Defect.RHS_LENGTH, f"{right_hand_side.name} is {length} x {width} for {rows} rows")
        return linear_system(_content(path), _content(right_hand_side))

    def _present(self, *names: str) -> Path:
        """The first of these files that is there."""
        for name in names:
            if (self._folder / name).is_file():
                return self._folder / name
        raise BadSystemError(Defect.UNREADABLE, f"there is no file {' or '.join(names)}")


def _name(path: Path) -> str:
    """The name that a matrix and its right-hand side share."""
    return next((path.stem.removesuffix(ending) for ending in RHS_ENDINGS if path.stem.endswith(ending)), path.stem)


def _size(path: Path) -> tuple[int, int, int]:
    try:
        rows, columns, entries, _, field, _ = mminfo(path)
    except Exception as error:
        raise _unreadable(path, error) from error
    if entries > path.stat().st_size:  # asked before reading, as a header costs nothing to exaggerate
        raise BadSystemError(Defect.UNREADABLE, f"{path.name} is too short for {entries} entries")
    if field == "complex":
        raise BadSystemError(Defect.NOT_REAL, f"{path.name} is complex")
    return rows, columns, entries


def _content(path: Path) -> Any:
    try:
        return mmread(path, spmatrix=False)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> BadSystemError:
    return BadSystemError(Defect.UNREADABLE, " ".join(f"{path.name}: {error}".split()))
