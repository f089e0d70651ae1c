"""``POST /v1/adapters/{module}``: rows in a module's own form."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response

from access.principal import Principal
from access.web import require
from core.errors import NotFound, Unprocessable, UnsupportedMediaType
from ingest import forms
from ingest.adapters import MODULES
from ingest.adapters.form import Adapter
from ingest.batch import Arrival, Decoded
from ingest.decode.explain import nearest
from ingest.decode.rows import Row
from ingest.decode.translated import LINES, Translated, decode_translated, read_rows
from ingest.doors.delivering import ANSWERS, deliver, media_type_of
from ingest.limits import Limits

router = APIRouter(tags=["events in"])

_READ: Final = ("application/json", *sorted(LINES))

REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "Rows of the module; `Content-Encoding` may be gzip or zstd. docs/adapters.md has their fields.",
    "content": {
        "application/json": {
            "schema": {"oneOf": [{"type": "object"}, {"type": "array", "items": {"type": "object"}, "minItems": 1}]},
        },
        "application/x-ndjson": {"schema": {"type": "string", "description": "One JSON object a line."}},
    },
}


def adapter_for(module: str, version: str | None) -> tuple[Adapter, str]:
    """The adapter of a module, and the version of its rows.

    Raises
    ------
    NotFound
        There is no such module; the known ones are named.
    Unprocessable
        There is no such version; the known ones are named.
    """
    adapter = MODULES.get(module)
    if adapter is None:
        near = nearest(module, MODULES)
        hint = f"did you mean {near!r}? " if near else ""
        raise NotFound(f"{module[:100]!r} is no module; {hint}the modules are {', '.join(MODULES)}")
    version = version or adapter.newest
    if version not in adapter.versions:
        known = ", ".join(adapter.versions)
        raise Unprocessable(f"version: {version[:100]!r} is not known; known are {known}", field="version")
    return adapter, version


@router.post(
    "/v1/adapters/{module}",
    status_code=202,
    summary="Send rows in a module's own form",
    response_class=Response,
    responses=ANSWERS | {404: {"description": "No such module; the known ones are named."}},
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def post_rows(
    module: str,
    request: Request,
    principal: Annotated[Principal, Depends(require("ingest"))],
    version: Annotated[str | None, Query(description="Version of the rows; the newest where it is left out.")] = None,
) -> Response:
    """Take rows of a module in; answers once the events they become are durable."""
    adapter, version = adapter_for(module, version)
    media_type = media_type_of(request.headers.get("content-type", ""))
    if media_type not in _READ:
        raise UnsupportedMediaType(f"Content-Type {media_type[:80]!r} is not read here; send one of {', '.join(_READ)}")
    decoder = partial(decode, adapter=adapter, version=version, media_type=media_type)
    receipt = await deliver(request, principal, f"adapters/{module}", decoder, f"{module} {version}".encode())
    return Response(receipt.to_json(), 202, media_type="application/json")


def decode(
    body: bytes, arrival: Arrival, limits: Limits, *, adapter: Adapter, version: str, media_type: str
) -> Decoded:
    """Decode rows of a module; a decoder once its named arguments are given."""
    return decode_module_rows(read_rows(body, media_type, limits), arrival, limits, adapter, version)


def decode_module_rows(
    rows: Iterable[Row], arrival: Arrival, limits: Limits, adapter: Adapter, version: str
) -> Decoded:
    """Decode rows of a module that have been read."""
    read = adapter.versions[version].read

    def translate(row: dict[str, Any]) -> Iterator[Translated]:
        for one in read(row):
            if not adapter.timed and one.event.get("time") is None:
                one.event["time"] = arrival.received_at.isoformat()
            yield one

    return decode_translated(rows, translate, arrival, limits, forms.of_module(adapter.module, version))
