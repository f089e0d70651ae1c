"""``guardrail.check``: one verdict of a guardrail."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Dimension, Label, Milliseconds, Number, Real, choice


class GuardrailCheck(EventData):
    """One verdict of a guardrail."""

    TYPE: ClassVar[str] = "guardrail.check"
    SOURCE: ClassVar[str] = "guardrails"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "policy": "prompt-injection",
        "verdict": "block",
        "stage": "input",
        "category": "jailbreak",
        "score": 0.97,
        "threshold": 0.8,
        "duration_ms": 12.4,
    }

    policy: Label = Field(description="Policy that was checked.")
    verdict: Annotated[Literal["pass", "flag", "block", "redact"], choice()] = Field(description="The verdict.")
    stage: Annotated[Literal["input", "output", "tool"], choice()] | None = Field(None, description="What was checked.")
    category: Dimension | None = Field(None, description="Category of what was found.")
    score: Number | None = Field(None, description="Score of the check.")
    threshold: Real | None = Field(None, description="Score from which the policy acts.")
    duration_ms: Milliseconds | None = Field(None, description="Duration.")
