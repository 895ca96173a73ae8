"""How the arrays of a data set are encoded: precision, rounding, compression and the size of what is read at once."""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

MANTISSA_BITS = {"float64": 52, "float32": 23}
RESIDUAL_NOTE = "of the solution before it was rounded for storage; that of the stored values is larger"


class Storage(BaseModel):
    """The encoding of the fields of a data set; the defaults store every bit that was computed.

    Statuses, residuals and counts are never rounded.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Literal["float64", "float32"] = Field("float64", description="type of parameter fields and solutions")
    solution_bits: int | None = Field(
        None, ge=1, le=52, description="mantissa bits kept of solutions; the others are rounded away [all]"
    )
    parameter_bits: int | None = Field(
        None,
        ge=1,
        le=52,
        description="mantissa bits kept of parameters, which then are not quite those of the solutions [all]",
    )
    level: int = Field(0, ge=-7, le=22, description="of zstd; 0 is its default")
    chunk: int | None = Field(
        None, ge=1, description="instances per chunk, the chunks of a shard in one file [a file for every chunk]"
    )

    @model_validator(mode="after")
    def _bits_exist(self) -> Self:
        most = MANTISSA_BITS[self.dtype]
        for name, bits in (("solution_bits", self.solution_bits), ("parameter_bits", self.parameter_bits)):
            if bits is not None and bits > most:
                raise ValueError(f"{name}={bits} is not allowed: {self.dtype} has {most} mantissa bits")
        return self

    def description(self) -> dict[str, Any]:
        """What differs from the defaults, as JSON-able values."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def attributes(self, bits: int | None) -> dict[str, Any]:
        """What the attributes say of the error of an array of which ``bits`` mantissa bits are kept, None for all."""
        kept = MANTISSA_BITS[self.dtype] if bits is None else bits
        if kept == MANTISSA_BITS["float64"]:
            return {}
        return {"mantissa_bits": kept, "largest_relative_rounding_error": rounding_error(kept)}


EVERY_BIT = Storage()


def rounding_error(bits: int) -> float:
    """The largest relative error of rounding to this many mantissa bits: half a unit in the last of them."""
    return float(2.0 ** -(bits + 1))


def round_mantissa(values: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """Round to nearest, ties to even, keeping ``bits`` bits of the mantissa.

    Parameters
    ----------
    values : ndarray, float64
        NaN and infinity stay what they are; subnormal numbers are rounded with a larger relative error.
    bits : int
        From 1 to 52.

    Returns
    -------
    ndarray, float64
        Equal to ``values`` within a relative error of ``2 ** -(bits + 1)``, the dropped bits zero.
    """
    dropped = MANTISSA_BITS["float64"] - bits
    if dropped == 0:
        return values
    integers = values.view(np.int64)
    # Adding half a unit carries into the last kept bit, and on into the exponent where the mantissa is full.
    half = (1 << (dropped - 1)) - 1
    rounded = (integers + (((integers >> dropped) & 1) + half)) & np.int64(-1 << dropped)
    return np.where(np.isfinite(values), rounded.view(np.float64), values)
