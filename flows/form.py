"""The parameters that the flows share, as the forms of the Prefect UI show them."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from tasks.study import Size


def form_field(description: str, **constraints: Any) -> Any:
    """A pydantic field whose description, with its bounds, reaches the form.

    The form checks bounds but does not show them, and Prefect keeps only what the JSON schema is told twice.
    """
    shown = "; ".join(part for part in (description, _bounds(constraints)) if part)
    return Field(description=shown, json_schema_extra={"description": shown}, **constraints)


def _bounds(constraints: Mapping[str, Any]) -> str:
    """The bounds of a number in words."""
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return ", ".join(f"{words[name]} {bound:,}" for name, bound in constraints.items() if name in words)


SizeChoice = Annotated[Size, form_field("small: seconds, default: minutes, large: a night")]
StoreRoot = Annotated[str, form_field("folder or URL of the store; empty: ASSAY_STORE or ./assay-store")]
Scheduler = Annotated[str, form_field("'local', 'in-process' or the address of a Dask scheduler")]
Workers = Annotated[int | None, form_field("local worker processes; None: one a core", ge=1, le=1024)]
Fresh = Annotated[bool, form_field("run the contenders again although results exist")]
TimeLimit = Annotated[float, form_field("seconds that a contender may take on a shard", gt=0, le=30 * 86400)]
MemoryLimit = Annotated[
    float | None, form_field("GiB that a contender may take; None: its share of what is free", gt=0, le=2**20)
]
Repair = Annotated[bool, form_field("check all stored shards and compute damaged ones again")]
