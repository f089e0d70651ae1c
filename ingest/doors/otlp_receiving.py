"""The handler of every OTLP door: only the path, the credential and the project differ."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Protocol

from fastapi import Request, Response

from access.principal import Principal
from core.errors import HubError, UnsupportedMediaType
from ingest.batch import Arrival, Decoded
from ingest.doors.delivering import deliver
from ingest.joint import Joint
from ingest.limits import Limits
from ingest.otlp.answer import JSON, PROTOBUF, media_type_of, success
from ingest.otlp.logs import decode_lines_of
from ingest.otlp.metrics import decode_points_of
from ingest.otlp.spans import decode_spans_of


class Decode(Protocol):
    """Reads bodies of a signal."""

    def __call__(
        self, bodies: Sequence[bytes], arrival: Arrival, limits: Limits, *, plain: bool, project: str | None = None
    ) -> Sequence[Decoded | HubError]: ...


@dataclass(frozen=True, slots=True)
class Signal:
    """One of the three: its door's name, what its items are called in answers, and its decoder."""

    door: str
    items: str
    decode: Decode


TRACES: Final = Signal("otlp_traces", "spans", decode_spans_of)
LOGS: Final = Signal("otlp_logs", "log_records", decode_lines_of)
METRICS: Final = Signal("otlp_metrics", "data_points", decode_points_of)


@dataclass(frozen=True, slots=True)
class Reader(Joint):
    """Reads the bodies of a signal in one encoding, for one project."""

    signal: Signal
    plain: bool
    project: str | None

    def __call__(self, bodies: Sequence[bytes], arrival: Arrival, limits: Limits) -> Sequence[Decoded | HubError]:
        """What becomes of each body."""
        return self.signal.decode(bodies, arrival, limits, plain=self.plain, project=self.project)


#: What OpenAPI says of the body, which is read here and not by FastAPI.
REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "An OTLP export request; `Content-Encoding` may be gzip or zstd.",
    "content": {
        PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
        JSON: {"schema": {"type": "object"}},
    },
}
_STATUS: Final = {
    PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    JSON: {
        "schema": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
        }
    },
}
#: Answers of the doors; every error is a ``google.rpc.Status``.
ANSWERS: Final[Mapping[int | str, dict[str, Any]]] = MappingProxyType(
    {
        200: {
            "description": "Durable; `partialSuccess` counts and explains what was rejected, if anything was.",
            "content": {
                PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
                JSON: {"schema": {"type": "object", "properties": {"partialSuccess": {"type": "object"}}}},
            },
        },
        **{
            status: {"description": description, "content": _STATUS}
            for status, description in {
                400: "The body is no OTLP request.",
                401: "No key, or a wrong one.",
                403: "The key may not send events.",
                409: "A request with the same Idempotency-Key is in flight.",
                413: "Larger than 16 MiB, or 64 MiB decompressed.",
                415: "A content type or encoding that is not read here.",
                422: "The Idempotency-Key was used for another body.",
                503: "Busy, or over the key's limit; send the same body again after `Retry-After` seconds.",
            }.items()
        },
    }
)


#: What the routes of the doors have in common.
OPTIONS: Final[dict[str, Any]] = {
    "response_class": Response,
    "responses": dict(ANSWERS),
    "openapi_extra": {"requestBody": REQUEST_BODY},
}


async def receive(request: Request, principal: Principal, signal: Signal, project: str | None = None) -> Response:
    """Take a request in; answers once it is durable."""
    media_type = media_type_of(request)
    if media_type is None:
        given = request.headers.get("content-type", "")[:80]
        raise UnsupportedMediaType(f"Content-Type {given!r} is not read here; send {PROTOBUF} or {JSON}")
    reader = Reader(signal, media_type == JSON, project or None)
    receipt = await deliver(request, principal, signal.door, reader, (project or "").encode())
    return success(receipt, signal.items, media_type)
