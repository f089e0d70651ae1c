"""``span``: a span of any other work."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Detail, Dimension, Label, Milliseconds, Objects, Status


class Span(EventData):
    """A span that is none of the more special types."""

    TYPE: ClassVar[str] = "span"
    SOURCE: ClassVar[str] = "observatory"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "name": "POST /chat",
        "kind": "server",
        "service": "support-api",
        "duration_ms": 2110.0,
        "status": "ok",
    }

    name: Label = Field(description="Name of the span.")
    kind: Dimension | None = Field(
        None, description="`server`, `client`, `internal`, …, or `chain`, `tool`, `agent`, …"
    )
    service: Dimension | None = Field(None, description="Service that did the work.")
    duration_ms: Milliseconds = Field(description="Duration.")
    status: Status | None = Field(None, description="`ok` (default) or `error`.")
    status_message: Detail | None = Field(None, description="Explanation of the status.")
    events: Objects | None = Field(None, description="Span events.")
    links: Objects | None = Field(None, description="Links to other spans.")
