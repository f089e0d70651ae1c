"""``job.run``: a state of a batch job."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Count, Detail, Dimension, Label, Milliseconds, Small, choice


class JobRun(EventData):
    """A batch job has come to a state."""

    TYPE: ClassVar[str] = "job.run"
    SOURCE: ClassVar[str] = "any"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "job": "nightly-index",
        "state": "succeeded",
        "rows": 120000,
        "duration_ms": 93000,
    }

    job: Label = Field(description="Name of the job.")
    state: Annotated[Literal["started", "succeeded", "failed", "skipped"], choice()] = Field(description="The state.")
    pipeline: Detail | None = Field(None, description="Pipeline it belongs to.")
    attempt: Small | None = Field(None, description="Number of the attempt, from 1.")
    rows: Count | None = Field(None, description="Rows processed.")
    duration_ms: Milliseconds | None = Field(None, description="Duration.")
    error_type: Dimension | None = Field(None, description="What went wrong.")
