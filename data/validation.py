"""Bad input in one clear line: what is wrong, where, and what is allowed."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

Model = TypeVar("Model", bound=BaseModel)
Choice = TypeVar("Choice", bound=StrEnum)

LARGEST_GRID = 2048
LARGEST_CUBE = 128


def _affordable(cells: int, dimensions: int, largest: int) -> int:
    if cells > largest:
        gibibytes = 8 * cells**dimensions / 2**30
        sides = " x ".join([str(cells)] * dimensions)
        raise ValueError(f"one field of {sides} numbers takes {gibibytes:,.2f} GiB; at most {largest} are allowed")
    return cells


def _affordable_square(cells: int) -> int:
    return _affordable(cells, 2, LARGEST_GRID)


def _affordable_cube(cells: int) -> int:
    return _affordable(cells, 3, LARGEST_CUBE)


GridSize = Annotated[int, AfterValidator(_affordable_square), Field(json_schema_extra={"maximum": LARGEST_GRID})]
"""Cells per side of a square grid."""

CubeSize = Annotated[int, AfterValidator(_affordable_cube), Field(json_schema_extra={"maximum": LARGEST_CUBE})]
"""Cells per side of a cubic grid; at 128, one seven-point matrix takes 0.17 GiB."""


class InputError(ValueError):
    """Input that cannot be used; the message is one line for the user."""


def validated(model: type[Model], values: Mapping[str, Any]) -> Model:
    """An instance of a pydantic model from untrusted values; numbers may come as text.

    Raises
    ------
    InputError
        One line that names every wrong field, its value and what is allowed.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        raise refused(error, model.model_fields) from None


def refused(error: ValidationError, fields: Iterable[str] = ()) -> InputError:
    """The one line for what pydantic found wrong; ``fields`` are the names that would have been right."""
    return InputError("; ".join(_describe(problem, fields) for problem in error.errors()))


def choice(kind: type[Choice], what: str, name: str) -> Choice:
    """The member of an enumeration that has this value.

    Raises
    ------
    InputError
        One line with the nearest of the allowed values, or all of them.
    """
    if name not in list(kind):
        raise unknown(what, name, [member.value for member in kind])
    return kind(name)


def unknown(what: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that does not exist: the nearest valid one, or all of them."""
    names = sorted(known)
    nearest = get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return InputError(f"unknown {what} {name!r}: {hint}allowed: {', '.join(names)}")


def _describe(problem: Any, fields: Iterable[str]) -> str:
    field = ".".join(str(part) for part in problem["loc"])
    match problem["type"]:
        case "extra_forbidden":
            return str(unknown("parameter", field, fields))
        case "missing":
            return f"parameter {field!r} is missing"
        case "value_error":
            message = problem["msg"].removeprefix("Value error, ")
            return f"{field}: {message}" if field else message
        case _:
            message = problem["msg"].removeprefix("Input should be ")
            return f"{field}={problem['input']!r} is not allowed: it must be {message}"
