"""``gateway.route``: a routing decision of the gateway."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Detail, Dimension, Flag, Label, Milliseconds, Small, Status


class GatewayRoute(EventData):
    """A routing decision of the gateway."""

    TYPE: ClassVar[str] = "gateway.route"
    SOURCE: ClassVar[str] = "gateway"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "model": "gpt-4o",
        "provider": "openai",
        "policy": "least_loaded",
        "attempt": 1,
        "queue_ms": 3.1,
    }

    model: Dimension = Field(min_length=1, description="Model that was asked for.")
    provider: Dimension | None = Field(None, description="Provider that was chosen.")
    worker: Dimension | None = Field(None, description="Worker that was chosen.")
    policy: Label | None = Field(None, description="`least_loaded`, `token_aware`, `fallback`, …")
    reason: Detail | None = Field(None, description="Why.")
    attempt: Small | None = Field(None, description="Number of the attempt, from 1.")
    fallback_from: Detail | None = Field(None, description="Model or provider that failed before.")
    cache_hit: Flag | None = Field(None, description="Answered from the gateway's own cache.")
    queue_ms: Milliseconds | None = Field(None, description="Time spent in the queue.")
    status: Status | None = Field(None, description="`ok` (default) or `error`.")
