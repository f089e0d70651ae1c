"""``/v1/admin/backup``: the whole hub as one file, streamed while it goes on."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any, Final, Protocol
from weakref import ReferenceType, ref

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse

from access.principal import Principal
from access.web import actor_of, require
from core.errors import SlowDown
from query_api.administration import AccessService
from query_api.responses import PROBLEMS

router = APIRouter(tags=["operation"])

#: Whoever runs the hub: a backup has the data of every tenant.
Operator = Annotated[Principal, Depends(require("hub", role="admin"))]

_FILE: Final[dict[int | str, dict[str, Any]]] = {
    **PROBLEMS,
    200: {"description": "The backup, for `llm-hub restore`.", "content": {"application/x-tar": {}}},
}


class Backup(Protocol):
    """One backup in the making: ``hub.backup.making.Maker``."""

    async def expected_bytes(self) -> int:
        """About how large it will be."""
        ...

    def pieces(self) -> AsyncGenerator[bytes]:
        """Its bytes."""
        ...


@router.post("/v1/admin/backup", summary="Back the hub up", response_class=StreamingResponse, responses=_FILE)
async def backup(caller: Operator, access: AccessService, request: Request) -> Response:
    """Everything of every tenant as of one moment; needs the scope `hub`. What breaks off half way is no backup."""
    state = request.app.state
    before: ReferenceType[Any] | None = getattr(state, "backing_up", None)
    if before is not None and before() is not None:
        raise SlowDown("Another backup is under way; come again when it is done.", retry_after=60)
    make: Callable[[], Backup] = state.backup
    made = make()
    pieces = made.pieces()
    state.backing_up = ref(pieces)  # gone with it, also when nobody reads on
    await access.audit.record(caller.tenant, actor_of(request, caller), "hub.backup", "hub")
    size = await made.expected_bytes()
    first = await anext(pieces)
    headers = {
        "Content-Disposition": 'attachment; filename="llm-hub.backup"',
        "Cache-Control": "no-store",
        "X-Expected-Bytes": str(size),
    }
    return StreamingResponse(_all(first, pieces), media_type="application/x-tar", headers=headers)


async def _all(first: bytes, pieces: AsyncGenerator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):
        yield first
        async for piece in pieces:
            yield piece
