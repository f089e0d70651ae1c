"""``POST /api/public/ingestion``: what Langfuse's own clients send, with the hub's key as their secret key."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from access.principal import Principal
from access.service import Access
from access.web import require
from core.errors import UnsupportedMediaType
from ingest.body import decompress, read_body
from ingest.doors.delivering import media_type_of, refuse_when_full
from ingest.intake import Intake
from ingest.langfuse.held import Held
from ingest.langfuse.ingestion import Answers, delivering, ingest, read_batch

router = APIRouter(tags=["events in"])

Sender = Annotated[Principal, Depends(require("ingest", basic=True))]

ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    207: {
        "description": "What has become of each item: `successes` are durable.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["successes", "errors"],
                    "properties": {
                        "successes": {"type": "array", "items": {"type": "object"}},
                        "errors": {"type": "array", "items": {"type": "object"}},
                    },
                }
            }
        },
    },
    400: {"description": "The body is no batch."},
    413: {"description": "Larger than 16 MiB, or 64 MiB decompressed."},
    503: {"description": "Busy; send the same batch again after `Retry-After` seconds."},
}
REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["batch"],
                "properties": {"batch": {"type": "array", "items": {"type": "object"}}},
            }
        }
    },
}


@router.post(
    "/api/public/ingestion",
    status_code=207,
    summary="Send a batch of Langfuse's clients",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def post_batch(request: Request, principal: Sender) -> Response:
    """Take a batch in; answers once everything in it is durable."""
    answers = await take_items(request, principal, read_batch)
    return Response(answers.to_json(), 207, media_type="application/json")


async def take_items(request: Request, principal: Principal, read: Callable[[bytes, int], list[Any]]) -> Answers:
    """Take the items of a body in; everything in it is durable when this returns.

    Parameters
    ----------
    request, principal
        Who sends what.
    read
        From the plain body, and the most items that it may have, to the items.
    """
    intake: Intake = request.app.state.intake
    access: Access = request.app.state.access
    held: Held = request.app.state.held
    if media_type_of(request.headers.get("content-type", "")) != "application/json":
        raise UnsupportedMediaType("Langfuse's items are read as JSON; send application/json")
    refuse_when_full(request)
    with intake.hold() as take:
        wire = await read_body(request.stream(), take, intake.limits.body_bytes)
        plain = await asyncio.to_thread(decompress, wire, request.headers.get("content-encoding", ""), intake.limits)
        batch = read(plain, intake.limits.rows)
        deliver = delivering(intake, principal.tenant, wire, lambda rows: access.limits.take_events(principal, rows))
        capture = access.settings(principal.tenant).content_capture
        return await ingest(batch, principal.tenant, held, deliver, capture=capture)
