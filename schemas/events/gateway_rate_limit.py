"""``gateway.rate_limit``: a request that met a rate limit."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Label, Real, choice


class GatewayRateLimit(EventData):
    """A request that met a rate limit."""

    TYPE: ClassVar[str] = "gateway.rate_limit"
    SOURCE: ClassVar[str] = "gateway"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "limit_name": "tokens_per_minute",
        "limit": 100000,
        "used": 100240,
        "retry_after_ms": 800,
        "action": "rejected",
    }

    limit_name: Label = Field(description="Which limit.")
    limit: Real | None = Field(None, description="Its size.")
    used: Real | None = Field(None, description="How much was used.")
    retry_after_ms: Real | None = Field(None, description="When to come again.")
    action: Annotated[Literal["delayed", "rejected"], choice()] | None = Field(None, description="What was done.")
