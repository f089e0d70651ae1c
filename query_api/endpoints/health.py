"""``/health/live`` and ``/health/ready``."""

from collections.abc import Mapping
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from query_api.health import Check, examine
from semantic.layer import SemanticLayer

router = APIRouter(tags=["operation"])


class Alive(BaseModel):
    """The process answers."""

    status: str = "ok"


class Part(BaseModel):
    """A part's state."""

    status: str
    state: str
    detail: str


class Readiness(BaseModel):
    """``ok`` when every part is."""

    status: str
    checks: dict[str, Part]


_FAILED: Final[dict[int | str, dict[str, object]]] = {503: {"model": Readiness, "description": "A part is not ready."}}


@router.get("/health/live", summary="Is the process alive", response_model=Alive)
async def live() -> Alive:
    """Answers as long as the process does."""
    return Alive()


@router.get("/health/ready", summary="Is every part ready", response_model=Readiness, responses=_FAILED)
async def ready(request: Request) -> Response:
    """The state of each part; 503 while one is not ready."""
    checks: Mapping[str, Check] = getattr(request.app.state, "checks", {})
    semantic: SemanticLayer = request.app.state.semantic
    found = await examine({"warehouse": semantic.ping, **checks})
    parts = {
        name: {"status": "ok" if one.ok else "failed", "state": one.state, "detail": one.detail}
        for name, one in found.items()
    }
    good = all(one.ok for one in found.values())
    body = orjson.dumps({"status": "ok" if good else "failed", "checks": parts})
    return Response(body, 200 if good else 503, media_type="application/json")
