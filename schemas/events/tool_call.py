"""``tool.call``: one call of a tool by a model or an agent."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Content, Detail, Dimension, Label, Milliseconds, Status


class ToolCall(EventData):
    """One call of a tool by a model or an agent."""

    TYPE: ClassVar[str] = "tool.call"
    SOURCE: ClassVar[str] = "observatory"
    EXAMPLE: ClassVar[dict[str, Any]] = {"tool_name": "search_orders", "duration_ms": 88.0, "status": "ok"}

    tool_name: Label = Field(description="Name of the tool.")
    tool_call_id: Detail | None = Field(None, description="The model's id of the call.")
    duration_ms: Milliseconds | None = Field(None, description="Duration.")
    status: Status | None = Field(None, description="`ok` (default) or `error`.")
    error_type: Dimension | None = Field(None, description="What went wrong.")
    arguments: Content | None = Field(None, description="Arguments of the call.")
    result: Content | None = Field(None, description="Result of the call.")
