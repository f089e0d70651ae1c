"""The envelope of an event: who, where, when; the rest is ``data``."""

import re
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StrictStr

from schemas.fields import NAME_LENGTH
from schemas.times import parse_time

VERSION = "1.0"
MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_LENGTH = 4096

_HEX32 = re.compile(r"[0-9a-f]{32}")
_HEX16 = re.compile(r"[0-9a-f]{16}")


def _name(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _hex(pattern: re.Pattern[str], digits: int) -> Any:
    def check(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(f"must be text of {digits} hex digits")  # noqa: TRY004 - pydantic wants ValueError
        text = value.replace("-", "").lower() if digits == 32 else value.lower()
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {digits} hex digits")
        return text

    return check


def _attributes(value: Any) -> Any:
    """Attribute values are text; numbers, flags and nested values become their JSON text."""
    if not isinstance(value, dict):
        raise ValueError("must be an object of names and values")  # noqa: TRY004 - pydantic wants ValueError
    if len(value) > MAX_ATTRIBUTES:
        raise ValueError(f"must have at most {MAX_ATTRIBUTES} names")
    texts = {
        key: item if isinstance(item, str) else orjson.dumps(item).decode()
        for key, item in value.items()
        if item is not None
    }
    for key, text in texts.items():
        if len(key) > NAME_LENGTH:
            raise ValueError(f"names must be at most {NAME_LENGTH} characters")
        if len(text) > MAX_ATTRIBUTE_LENGTH:
            raise ValueError(f"{key[:64]!r} must be at most {MAX_ATTRIBUTE_LENGTH} characters")
    return texts


Name = Annotated[StrictStr, BeforeValidator(_name), Field(max_length=NAME_LENGTH)]
TraceId = Annotated[str, BeforeValidator(_hex(_HEX32, 32))]
SpanId = Annotated[str, BeforeValidator(_hex(_HEX16, 16))]
Moment = Annotated[datetime, BeforeValidator(parse_time), PlainSerializer(datetime.isoformat)]


class Envelope(BaseModel):
    """What every event carries.

    ``time`` is when it happened; of work with a duration, when it ended. The tenant is never read from here: it comes
    from the credential.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name | None = Field(None, description="A UUID; another form becomes its uuid5; made where missing.")
    type: StrictStr = Field(description="Event type.")
    source: Annotated[Name, Field(min_length=1)] = Field(description="Module or service that sends it.")
    time: Moment = Field(description="When it happened, or ended: RFC 3339 with an offset, or epoch milliseconds.")
    schema_version: Annotated[Name, Field(pattern=r"^\d+\.\d+$")] = Field(VERSION, description="Version of the type.")
    project: Name | None = Field(None, description="Application or team.")
    environment: Name | None = Field(None, description="`production`, `staging`, …")
    trace_id: TraceId | None = Field(None, description="32 hex digits.")
    span_id: SpanId | None = Field(None, description="16 hex digits.")
    parent_span_id: SpanId | None = Field(None, description="16 hex digits.")
    session_id: Name | None = Field(None, description="Conversation or visit.")
    user_id: Name | None = Field(None, description="End user, as the sender names them.")
    data: dict[str, Any] = Field(default_factory=dict, description="Fields of the event type.")
    attributes: Annotated[dict[str, str], BeforeValidator(_attributes)] = Field(
        default_factory=dict, description="Anything else worth filtering by, as text."
    )
