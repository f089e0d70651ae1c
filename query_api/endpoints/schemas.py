"""``GET /v1/schemas`` and ``/v1/schemas/{type}``: the event types and their JSON Schemas."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends

from access.principal import Principal
from access.web import require
from core.errors import NotFound
from schemas.catalogue import EVENT_MODELS, EVENT_TYPES
from schemas.json_schema import json_schema, summary

router = APIRouter(tags=["schemas"])

#: Whoever sends events may read what they look like, as may whoever asks.
_Reader = Annotated[Principal, Depends(require("query", "ingest"))]


@router.get("/v1/schemas", summary="List the event types")
async def list_schemas(principal: _Reader) -> dict[str, list[dict[str, str]]]:  # noqa: ARG001
    """Every event type with its version, its usual source and what it is."""
    return {"schemas": [summary(model) for model in EVENT_MODELS]}


@router.get("/v1/schemas/{event_type}", summary="The JSON Schema of an event type")
async def get_schema(event_type: str, principal: _Reader) -> dict[str, Any]:  # noqa: ARG001
    """The JSON Schema of a whole event of this type, with an example."""
    if event_type not in EVENT_TYPES:
        raise NotFound(f"there is no event type {event_type[:100]!r}; GET /v1/schemas lists them")
    return json_schema(event_type)
