"""The parameters that the flows share, as the forms of the Prefect UI show them."""

from typing import Annotated, Any

from pydantic import Field

from tasks.study import Size


def form_field(description: str, **constraints: Any) -> Any:
    """A pydantic field whose description reaches the form: Prefect keeps only what the JSON schema is told twice."""
    return Field(description=description, json_schema_extra={"description": description}, **constraints)


SizeChoice = Annotated[Size, form_field("small: seconds, default: minutes, large: a night")]
StoreRoot = Annotated[str, form_field("folder or URL of the store; empty: ASSAY_STORE or ./assay-store")]
Scheduler = Annotated[str, form_field("'local' or the address of a Dask scheduler")]
Workers = Annotated[int | None, form_field("local workers; empty: one a core", ge=1, le=1024)]
Fresh = Annotated[bool, form_field("run the contenders again although results exist")]
TimeLimit = Annotated[float, form_field("seconds that a contender may take on a shard", gt=0, le=30 * 86400)]
Repair = Annotated[bool, form_field("check all stored shards and compute damaged ones again")]
