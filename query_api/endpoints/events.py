"""``/v1/events/{id}``: one event with its contents."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from query_api.responses import PROBLEMS_OF_ONE, json
from query_api.services import Caller, Semantic
from semantic import traces

router = APIRouter(tags=["traces"])


class EventModel(BaseModel):
    """An event as it was sent, and what the hub made of it."""

    id: str
    type: str
    source: str
    time: str
    received_at: str
    schema_version: str
    project: str | None
    environment: str | None
    trace_id: str | None
    span_id: str | None
    parent_span_id: str | None
    session_id: str | None
    user_id: str | None
    data: dict[str, Any]
    attributes: dict[str, str]
    derived: dict[str, Any]


@router.get("/v1/events/{event_id}", summary="One event", response_model=EventModel, responses=PROBLEMS_OF_ONE)
async def one(
    event_id: Annotated[str, Path(max_length=64, description="A UUID.")], caller: Caller, semantic: Semantic
) -> Response:
    """An event by its id, with its contents where they are kept."""
    return json(await traces.event(semantic, caller.tenant, event_id))
