"""Answers of the OTLP doors, in the content type of the request: OTLP's own, and ``google.rpc.Status`` for errors."""

import logging
import uuid
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from core.errors import HubError, TooManyRequests
from ingest.batch import Receipt
from ingest.otlp.wire import MESSAGES

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
#: Media type → the one of the answer.
MEDIA_TYPES: Final[Mapping[str, str]] = {PROTOBUF: PROTOBUF, "application/protobuf": PROTOBUF, JSON: JSON}

#: HTTP status → code of ``google.rpc.Code``.
_CODES: Final[Mapping[int, int]] = {
    **dict.fromkeys((400, 413, 415, 422), 3),
    401: 16,
    403: 7,
    404: 5,
    409: 10,
    429: 14,
    503: 14,
}
_INTERNAL: Final = 13
_EXAMPLES: Final = 3

logger = logging.getLogger("llm_hub.ingest")


def media_type_of(request: Request) -> str | None:
    """The media type to answer in, or None where nobody here reads the request's."""
    return MEDIA_TYPES.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())


def success(receipt: Receipt, items: str, media_type: str) -> Response:
    """What became of a request: an empty message where all of it was taken.

    Parameters
    ----------
    receipt
        Of the intake.
    items
        ``spans``, ``log_records`` or ``data_points``.
    media_type
        Of the answer.
    """
    if media_type == PROTOBUF:
        return Response(as_protobuf(receipt, items), media_type=media_type)
    if not receipt.rejected:
        return Response(b"{}", media_type=media_type)
    name = "rejected" + items.title().replace("_", "")
    partial = {name: str(receipt.rejected), "errorMessage": _told(receipt, items)}
    return Response(orjson.dumps({"partialSuccess": partial}), media_type=media_type)


def as_protobuf(receipt: Receipt, items: str) -> bytes:
    """The same as the message that OTLP answers with."""
    if not receipt.rejected:
        return b""
    partial = MESSAGES["Partial"](rejected=receipt.rejected, message=_told(receipt, items))
    return bytes(MESSAGES["Answer"](partial=partial).SerializeToString())


def _told(receipt: Receipt, items: str) -> str:
    said = "; ".join(_reason(error) for error in receipt.errors[:_EXAMPLES])
    more = " …" if receipt.rejected > _EXAMPLES else ""
    count = receipt.accepted + receipt.duplicates + receipt.rejected
    return f"rejected {receipt.rejected} of {count} {items.replace('_', ' ')}: {said}{more}"


def _reason(error: Mapping[str, Any]) -> str:
    return f"[{error['index']}] {error['field'] or 'it'} {error['reason']}"


def code_of(error: HubError) -> int:
    """The code of ``google.rpc.Code`` that says what an error is."""
    return _CODES.get(error.status, _INTERNAL)


def mistake(place: str) -> HubError:
    """What a client is told of the error that is being handled: an id to find it by in the log, where it is written."""
    reference = uuid.uuid4().hex[:12]
    logger.exception("unexpected error %s at %s", reference, place)
    return HubError(f"this is a mistake of the hub; its log has it as {reference}")


def failure(request: Request, error: HubError) -> Response:
    """An error as ``google.rpc.Status``; exporters drop what is answered 429, and repeat what is answered 503."""
    status = 503 if isinstance(error, TooManyRequests) else error.status
    headers = dict(error.headers)
    if status == 503:
        headers.setdefault("Retry-After", "1")
    code = code_of(error)
    if media_type_of(request) == PROTOBUF:
        body = MESSAGES["RpcStatus"](code=code, message=error.detail).SerializeToString()
        return Response(body, status, headers, PROTOBUF)
    return Response(orjson.dumps({"code": code, "message": error.detail}), status, headers, JSON)


class OtlpRoute(APIRoute):
    """A route whose errors, also those of its dependencies, are answered as OTLP wants them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with errors turned into answers."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(request)
            except HubError as error:
                return failure(request, error)
            except ClientDisconnect:
                raise
            except Exception:
                return failure(request, mistake(request.url.path))

        return handle
