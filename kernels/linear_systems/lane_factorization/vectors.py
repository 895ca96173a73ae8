"""Lane vectors for numba: a row of 64 bytes (16 float32, 8 float64), one system per lane, in one register.

LLVM vectorises neither the loops of a factorisation over lanes nor keeps tiles of them in registers by itself; with
these few intrinsics each operation of the algorithm is one vector instruction. On machines whose registers are shorter
LLVM splits the vectors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

VECTOR_BYTES = 64

# numba hands an intrinsic its typing context and calls it without: its signature is not that of its calls
vector_intrinsic: Callable[[Any], Any] = intrinsic

# products are fused with the addition that follows, nothing else is reordered
_CONTRACT = ("contract",)


class LaneVector(types.Type):
    """The numba type of one lane vector."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"LaneVector({dtype})")


@register_model(LaneVector)
class _LaneVectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, lane_vector: Any) -> None:
        element = ir.FloatType() if lane_vector.dtype == types.float32 else ir.DoubleType()
        lanes = VECTOR_BYTES * 8 // lane_vector.dtype.bitwidth
        super().__init__(manager, lane_vector, ir.VectorType(element, lanes))  # type: ignore[no-untyped-call]


def lane_array(rows: int, dtype: Any) -> NDArray[Any]:
    """An uninitialised array of ``rows`` lane vectors, aligned to cache lines."""
    memory = np.empty((rows + 1) * VECTOR_BYTES, dtype=np.uint8)
    begin = -memory.ctypes.data % VECTOR_BYTES
    vectors: NDArray[Any] = memory[begin : begin + rows * VECTOR_BYTES].view(dtype).reshape(rows, -1)
    return vectors


def _address(context: Any, builder: Any, signature: Any, arguments: Any, vector: Any) -> Any:
    """The address of row ``arguments[1]`` of the array ``arguments[0]``."""
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    row = context.cast(builder, arguments[1], signature.args[1], types.uintp)
    first = builder.gep(array.data, [builder.mul(row, ir.Constant(row.type, vector.count))])
    return builder.bitcast(first, vector.as_pointer())


def _alignment(vector: Any) -> int:
    return VECTOR_BYTES // int(vector.count)


@vector_intrinsic
def load(typing_context: Any, array: Any, row: Any) -> Any:  # noqa: ARG001
    """Row ``row`` of an array of shape (rows, lanes), or element ``row`` of one of shape (rows,) in every lane."""
    lane_vector = LaneVector(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(lane_vector)
        if array.ndim == 2:
            return builder.load(_address(context, builder, signature, arguments, vector), align=_alignment(vector))
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = context.cast(builder, arguments[1], signature.args[1], types.uintp)
        index = ir.IntType(32)
        element = builder.load(builder.gep(data, [place]))
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), element, ir.Constant(index, 0))
        return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(index, vector.count), None))

    return lane_vector(array, row), generate


@vector_intrinsic
def store(typing_context: Any, array: Any, row: Any, vector: Any) -> Any:  # noqa: ARG001
    """Write a vector to row ``row`` of an array of shape (rows, lanes)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value = arguments[2]
        address = _address(context, builder, signature, arguments, value.type)
        builder.store(value, address, align=_alignment(value.type))
        return context.get_dummy_value()

    return types.void(array, row, vector), generate


@vector_intrinsic
def gather(typing_context: Any, columns: Any, row: Any, array: Any) -> Any:  # noqa: ARG001
    """Element ``row`` of each of a tuple of float64 arrays, one for each lane, rounded to the type of ``array``."""
    lane_vector = LaneVector(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = context.get_value_type(lane_vector)
        place = context.cast(builder, arguments[1], signature.args[1], types.uintp)
        gathered = ir.Constant(vector, ir.Undefined)
        for lane in range(vector.count):
            column = builder.extract_value(arguments[0], lane)
            data = context.make_array(signature.args[0].dtype)(context, builder, column).data
            element = builder.load(builder.gep(data, [place]))
            if vector.element != element.type:
                element = builder.fptrunc(element, vector.element)
            gathered = builder.insert_element(gathered, element, ir.Constant(ir.IntType(32), lane))
        return gathered

    return lane_vector(columns, row, array), generate


@vector_intrinsic
def minus_product(typing_context: Any, minuend: Any, factor: Any, other: Any) -> Any:  # noqa: ARG001
    """``minuend - factor * other``, in one rounding where the machine can."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        product = builder.fmul(arguments[1], arguments[2], flags=_CONTRACT)
        return builder.fsub(arguments[0], product, flags=_CONTRACT)

    return minuend(minuend, factor, other), generate


@vector_intrinsic
def minus(typing_context: Any, minuend: Any, subtrahend: Any) -> Any:  # noqa: ARG001
    """``minuend - subtrahend``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.fsub(arguments[0], arguments[1])

    return minuend(minuend, subtrahend), generate


@vector_intrinsic
def times(typing_context: Any, factor: Any, other: Any) -> Any:  # noqa: ARG001
    """``factor * other``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        return builder.fmul(arguments[0], arguments[1])

    return factor(factor, other), generate


@vector_intrinsic
def reciprocal(typing_context: Any, vector: Any) -> Any:  # noqa: ARG001
    """``1 / vector``; infinite where it is zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # noqa: ARG001
        kind = arguments[0].type
        return builder.fdiv(ir.Constant(kind, [1.0] * kind.count), arguments[0])

    return vector(vector), generate
