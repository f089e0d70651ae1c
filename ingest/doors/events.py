"""``POST /v1/events``: the hub's own events as JSON, an array, NDJSON or an Arrow stream, and CloudEvents."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Request, Response

from access.principal import Principal
from access.web import require
from core.errors import UnsupportedMediaType
from ingest.decode import cloudevents
from ingest.decode.arrow import decode_arrow
from ingest.decode.json import decode_json
from ingest.decode.ndjson import decode_ndjson
from ingest.doors.delivering import ANSWERS, deliver, media_type_of
from ingest.intake import Decoder

router = APIRouter(tags=["events in"])

#: Media type → how its bodies are read.
DECODERS: Final[Mapping[str, Decoder]] = MappingProxyType(
    {
        "application/json": decode_json,
        "application/x-ndjson": decode_ndjson,
        "application/ndjson": decode_ndjson,
        "application/jsonl": decode_ndjson,
        "application/vnd.apache.arrow.stream": decode_arrow,
        cloudevents.STRUCTURED: cloudevents.decode_structured,
        cloudevents.BATCH: cloudevents.decode_batch,
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
        cloudevents.STRUCTURED: {"schema": {"type": "object", "required": ["specversion", "id", "source", "type"]}},
        cloudevents.BATCH: {"schema": {"type": "array", "items": {"type": "object"}, "minItems": 1}},
    },
}


def decoder_for(headers: Mapping[str, str]) -> tuple[Decoder, bytes]:
    """The decoder of a request, and what its headers add to its identity.

    Raises
    ------
    UnsupportedMediaType
        Nobody here reads it; the message says what is read.
    """
    media_type = media_type_of(headers.get("content-type", ""))
    if cloudevents.is_binary(headers) and media_type not in (cloudevents.STRUCTURED, cloudevents.BATCH):
        if media_type and not media_type.endswith(("/json", "+json")):
            raise UnsupportedMediaType("the data of a CloudEvent in binary mode is read as JSON; send application/json")
        attributes = cloudevents.attributes_of(headers)
        return partial(cloudevents.decode_binary, attributes=attributes), orjson.dumps(sorted(attributes.items()))
    decoder = DECODERS.get(media_type)
    if decoder is None:
        raise UnsupportedMediaType(
            f"Content-Type {media_type[:80]!r} is not read here; send one of {', '.join(DECODERS)}"
        )
    return decoder, b""


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
    decoder, identity = decoder_for(request.headers)
    receipt = await deliver(request, principal, "events", decoder, identity)
    return Response(receipt.to_json(), 202, media_type="application/json")
