"""``POST /v1/events``: the hub's own events, as JSON, an array, NDJSON or an Arrow stream."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from access.principal import Principal
from access.service import Access
from access.web import require
from core.errors import UnsupportedMediaType
from ingest.decode.arrow import decode_arrow
from ingest.decode.json import decode_json
from ingest.decode.ndjson import decode_ndjson
from ingest.intake import Decoder, Delivery, Intake

router = APIRouter(tags=["events in"])

#: Media type → how its bodies are read.
DECODERS: Final[Mapping[str, Decoder]] = MappingProxyType(
    {
        "application/json": decode_json,
        "application/x-ndjson": decode_ndjson,
        "application/ndjson": decode_ndjson,
        "application/jsonl": decode_ndjson,
        "application/vnd.apache.arrow.stream": decode_arrow,
    }
)


#: What OpenAPI says of the body, which is read here and not by FastAPI.
REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "Events; `Content-Encoding` may be gzip or zstd. `GET /v1/schemas` has the types and their fields.",
    "content": {
        "application/json": {
            "schema": {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}, "minItems": 1}]},
            "example": {
                "type": "llm.request",
                "source": "gateway",
                "time": "2026-11-20T12:00:00.123Z",
                "data": {"model": "gpt-4o", "input_tokens": 812, "output_tokens": 96, "duration_ms": 1840.2},
            },
        },
        "application/x-ndjson": {"schema": {"type": "string", "description": "One JSON object a line."}},
        "application/vnd.apache.arrow.stream": {"schema": {"type": "string", "format": "binary"}},
    },
}

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    202: {
        "description": "Durable. Rejected rows are named; the others are kept.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["accepted", "rejected", "duplicates", "errors"],
                    "properties": {
                        "accepted": {"type": "integer"},
                        "rejected": {"type": "integer"},
                        "duplicates": {"type": "integer"},
                        "errors": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {
                                    "index": {"type": "integer"},
                                    "id": {"type": ["string", "null"]},
                                    "field": {"type": "string"},
                                    "reason": {"type": "string"},
                                },
                            },
                        },
                    },
                }
            }
        },
    },
    400: {"description": "The body holds no events, or cannot be read at all."},
    409: {"description": "A request with the same Idempotency-Key is in flight."},
    413: {"description": "Larger than 16 MiB, or 64 MiB decompressed."},
    415: {"description": "A content type or encoding that is not read here."},
    422: {"description": "The Idempotency-Key was used for another body."},
    503: {"description": "Busy; send the same body again after `Retry-After` seconds."},
}


def decoder_for(content_type: str) -> Decoder:
    """The decoder of a ``Content-Type``.

    Raises
    ------
    UnsupportedMediaType
        Nobody here reads it; the message says what is read.
    """
    media_type, _, parameters = content_type.partition(";")
    decoder = DECODERS.get(media_type.strip().lower())
    if decoder is None:
        raise UnsupportedMediaType(
            f"Content-Type {content_type[:80]!r} is not read here; send one of {', '.join(DECODERS)}"
        )
    charset = parameters.partition("charset=")[2].split(";")[0].strip(' "').lower()
    if charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType(f"charset {charset[:40]!r} is not read here; send UTF-8")
    return decoder


@router.post(
    "/v1/events",
    status_code=202,
    summary="Send events",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def post_events(request: Request, principal: Annotated[Principal, Depends(require("ingest"))]) -> Response:
    """Take events in; answers once they are durable."""
    intake: Intake = request.app.state.intake
    access: Access = request.app.state.access
    if refuse_when_full := getattr(request.app.state, "admit", None):
        refuse_when_full()
    delivery = Delivery(
        tenant=principal.tenant,
        door="events",
        stream=request.stream(),
        encoding=request.headers.get("content-encoding", ""),
        key=request.headers.get("idempotency-key"),
        decoder=decoder_for(request.headers.get("content-type", "")),
        admit=lambda rows: access.limits.take_events(principal, rows),
    )
    receipt = await intake.take(delivery)
    return Response(receipt.to_json(), 202, media_type="application/json")
