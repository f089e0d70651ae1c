"""What the doors share: reading the headers, and handing a request to the intake."""

from typing import Any, Final

from fastapi import Request

from access.principal import Principal
from access.service import Access
from core.errors import UnsupportedMediaType
from ingest.batch import Receipt
from ingest.intake import Decoder, Delivery, Intake
from ingest.joint import Joint

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


def media_type_of(content_type: str) -> str:
    """The media type of a ``Content-Type``, in lower case.

    Raises
    ------
    UnsupportedMediaType
        A charset other than UTF-8.
    """
    media_type, _, parameters = content_type.partition(";")
    charset = parameters.partition("charset=")[2].split(";")[0].strip(' "').lower()
    if charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType(f"charset {charset[:40]!r} is not read here; send UTF-8")
    return media_type.strip().lower()


def refuse_when_full(request: Request) -> None:
    """Raise :class:`core.errors.SlowDown` where there is no room on the disk for more."""
    if admit := getattr(request.app.state, "admit", None):
        admit()


async def deliver(
    request: Request, principal: Principal, door: str, decoder: Decoder | Joint, identity: bytes = b""
) -> Receipt:
    """Take a request in and return its answer once all of it is durable.

    Parameters
    ----------
    request, principal
        Who sends what.
    door
        Its name, for metrics and dead letters.
    decoder
        Reads the body.
    identity
        See :class:`ingest.intake.Delivery`.
    """
    intake: Intake = request.app.state.intake
    access: Access = request.app.state.access
    refuse_when_full(request)
    delivery = Delivery(
        tenant=principal.tenant,
        door=door,
        stream=request.stream(),
        encoding=request.headers.get("content-encoding", ""),
        key=request.headers.get("idempotency-key"),
        decoder=decoder,
        admit=lambda rows: access.limits.take_events(principal, rows),
        identity=identity,
    )
    return await intake.take(delivery)
