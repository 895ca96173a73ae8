"""Darcy flow through media of your own, read from a file: the pattern for bringing your own data."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, computed_field, model_validator

from data.pde.darcy import DarcyFlow
from data.problem import instance_index


class OwnDarcy(DarcyFlow):
    """Instance i is row i of an .npy file of positive coefficients, shape (instances, grid, grid), float64."""

    name: ClassVar[str] = "own-darcy"
    summary: ClassVar[str] = "Darcy flow through media read from your own .npy file"
    reference: ClassVar[str] = "your own data"

    path: str = Field(description="the .npy file; every worker must be able to read it")

    @computed_field(description="SHA-256 of the file, so that a data set's name changes with its content")  # type: ignore[prop-decorator]
    @cached_property
    def content(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()[:16]

    @model_validator(mode="after")
    def _file_fits(self) -> Self:
        if not Path(self.path).is_file():
            raise ValueError(f"{self.path} is not a file")
        shape, kind = self._coefficients.shape, self._coefficients.dtype
        if shape[1:] != (self.grid, self.grid) or kind != np.float64:
            raise ValueError(f"{self.path} holds {kind}{shape}, not float64 (instances, {self.grid}, {self.grid})")
        if not (np.isfinite(self._coefficients).all() and (self._coefficients > 0.0).all()):
            raise ValueError(f"{self.path} holds coefficients that are not positive and finite")
        return self

    @property
    def _coefficients(self) -> NDArray[np.float64]:
        try:
            coefficients: NDArray[np.float64] = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except ValueError:
            raise ValueError(f"{self.path} is not an .npy file of numbers") from None
        return coefficients

    def available(self) -> int:
        """The rows of the file."""
        return len(self._coefficients)

    def draw(self, random: np.random.Generator) -> dict[str, NDArray[Any]]:
        """The row of the instance; nothing is random."""
        return {"coefficient": np.array(self._coefficients[instance_index(random)])}
