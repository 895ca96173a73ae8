"""Stacked systems in an .npz file; what is stored uncompressed (``numpy.savez``) is mapped, not loaded."""

import math
import zipfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.systems.source import digest_files
from data.systems.stacked import STACKED, StackedSystems
from data.systems.system import one_line
from data.validation import InputError

_LOCAL_HEADER = 30
_HEADER_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class NpzSystems(StackedSystems):
    """The systems of an .npz file; pickled objects in it are refused, never loaded.

    Raises
    ------
    InputError
        If the file cannot be read, or its arrays are not stacked systems.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                present = {name: f"{name}.npy" for name in STACKED if f"{name}.npy" in archive.namelist()}
                arrays = {name: _array(path, archive, member) for name, member in present.items()}
        except Exception as error:  # damaged bytes raise whatever zipfile, zlib and numpy stumble upon
            raise InputError(f"{path} cannot be read as an .npz file of numbers: {one_line(error)}") from error
        super().__init__(str(path), arrays)

    def digest(self) -> str:
        """A digest of the file, whose checksums are verified.

        Raises
        ------
        InputError
            If a member of the file is damaged.
        """
        try:
            with zipfile.ZipFile(self._path) as archive:
                damaged = archive.testzip()
        except Exception as error:  # as above
            raise InputError(f"{self._path} is damaged: {one_line(error)}") from error
        if damaged:
            raise InputError(f"{self._path} is damaged: {damaged} in it is not what was written")
        return digest_files([self._path])


def _array(path: Path, archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    info = archive.getinfo(member)
    if info.compress_type != zipfile.ZIP_STORED:
        with archive.open(info) as file:
            return np.lib.format.read_array(file, allow_pickle=False)
    with path.open("rb") as file:
        # the lengths of name and extra field in the local header may differ from those in the directory
        file.seek(info.header_offset)
        header = file.read(_LOCAL_HEADER)
        begin = file.seek(int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little"), 1)
        version = np.lib.format.read_magic(file)
        if version not in _HEADER_READERS:
            raise ValueError(f"{member} has format version {version}")
        shape, fortran, dtype = _HEADER_READERS[version](file)
        if dtype.hasobject:
            raise ValueError(f"{member} holds Python objects")
        if file.tell() - begin + math.prod(shape) * dtype.itemsize != info.file_size:
            raise ValueError(f"{member} does not hold the {dtype}{shape} that it says")
        if 0 in shape:
            return np.empty(shape, dtype)
        order: Literal["C", "F"] = "F" if fortran else "C"
        return np.memmap(path, dtype, "r", offset=file.tell(), shape=shape, order=order)
