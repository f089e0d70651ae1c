"""``audit.action``: who did what to what."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Anything, Detail, Dimension, Label, choice


class AuditAction(EventData):
    """Who did what to what."""

    TYPE: ClassVar[str] = "audit.action"
    SOURCE: ClassVar[str] = "audit"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "actor": "dana",
        "action": "policy.update",
        "resource": "guardrails/prompt-injection",
        "outcome": "success",
    }

    actor: Label = Field(description="Who did it.")
    action: Dimension = Field(min_length=1, description="What was done.")
    resource: Detail = Field(min_length=1, description="To what.")
    outcome: Annotated[Literal["success", "denied", "failure"], choice()] | None = Field(
        None, description="How it ended."
    )
    ip: Detail | None = Field(None, description="Address it came from.")
    reason: Detail | None = Field(None, description="Why.")
    before: Anything | None = Field(None, description="State before.")
    after: Anything | None = Field(None, description="State after.")
