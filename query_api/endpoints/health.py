"""``/health/live`` and ``/health/ready``."""

from collections.abc import Mapping
from typing import Final

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from query_api.health import Check, examine

router = APIRouter(tags=["operation"])


class Alive(BaseModel):
    """The process does its work, or why it cannot any more."""

    status: str = "ok"
    detail: str | None = None


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


_STUCK: Final[dict[int | str, dict[str, object]]] = {503: {"model": Alive, "description": "Start it anew."}}


@router.get("/health/live", summary="Is the process alive", response_model=Alive, responses=_STUCK)
async def live(request: Request) -> Response:
    """Whether the process does its work, or could after waiting; 503: only starting it anew helps."""
    lives: Mapping[str, Check] = getattr(request.app.state, "lives", {})
    stuck = {name: one for name, one in (await examine(lives)).items() if not one.ok}
    if not stuck:
        return Response(Alive().model_dump_json(exclude_none=True), media_type="application/json")
    body = Alive(status="failed", detail="; ".join(one.detail for one in stuck.values()))
    return Response(body.model_dump_json(), 503, media_type="application/json")


@router.get("/health/ready", summary="Is every part ready", response_model=Readiness, responses=_FAILED)
async def ready(request: Request) -> Response:
    """The state of each part; 503 while one is not ready."""
    checks: Mapping[str, Check] = getattr(request.app.state, "checks", {})
    found = await examine(checks)
    parts = {
        name: {"status": "ok" if one.ok else "failed", "state": one.state, "detail": one.detail}
        for name, one in found.items()
    }
    good = all(one.ok for one in found.values())
    body = orjson.dumps({"status": "ok" if good else "failed", "checks": parts})
    return Response(body, 200 if good else 503, media_type="application/json")
