"""``agent.run``: one run of an agent."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Count, Detail, Dimension, Label, Milliseconds, Status, Tokens


class AgentRun(EventData):
    """One run of an agent; its calls are events of their own below it."""

    TYPE: ClassVar[str] = "agent.run"
    SOURCE: ClassVar[str] = "observatory"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "agent_name": "refund-agent",
        "duration_ms": 5400.0,
        "steps": 4,
        "llm_calls": 3,
        "tool_calls": 2,
    }

    agent_name: Label = Field(description="Name of the agent.")
    agent_id: Detail | None = Field(None, description="Id of the agent.")
    duration_ms: Milliseconds | None = Field(None, description="Duration.")
    status: Status | None = Field(None, description="`ok` (default) or `error`.")
    error_type: Dimension | None = Field(None, description="What went wrong.")
    steps: Count | None = Field(None, description="Steps taken.")
    llm_calls: Count | None = Field(None, description="Calls of models.")
    tool_calls: Count | None = Field(None, description="Calls of tools.")
    input_tokens: Tokens | None = Field(None, description="Prompt tokens of the whole run (not counted in totals).")
    output_tokens: Tokens | None = Field(
        None, description="Completion tokens of the whole run (not counted in totals)."
    )
