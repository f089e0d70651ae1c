"""``/v1/schemas``: the event types with the JSON Schema of each version, the hub's and a tenant's own."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from access.event_schemas import Compatibility
from access.principal import Principal
from access.web import actor_of, require
from core.errors import NotFound
from query_api.administration import AccessService, Admin
from query_api.responses import PROBLEMS_OF_ONE, json
from schemas import published
from schemas.catalogue import EVENT_MODELS, EVENT_TYPES
from schemas.custom import TenantType, parse_version, written
from schemas.data import EventData
from schemas.json_schema import own_schema, own_summary, summary

router = APIRouter(tags=["schemas"])

#: Whoever sends events may read what they look like, as may whoever asks.
_Reader = Annotated[Principal, Depends(require("query", "ingest"))]
_Version = Annotated[str | None, Query(max_length=20, description="The newest where it is left out.")]


@router.get("/v1/schemas", summary="List the event types")
async def list_schemas(principal: _Reader, access: AccessService) -> dict[str, list[dict[str, Any]]]:
    """Every event type with its versions, its usual source and what it is; those of the caller's own last."""
    own = access.schemas.current(principal.tenant)
    return {"schemas": [*map(_line, EVENT_MODELS), *(own_summary(own[name]) for name in sorted(own))]}


@router.get("/v1/schemas/{event_type}", summary="The JSON Schema of an event type")
async def get_schema(
    event_type: str, principal: _Reader, access: AccessService, version: _Version = None
) -> dict[str, Any]:
    """The JSON Schema of a whole event of this type, with an example where it is one of the hub's."""
    if event_type in EVENT_TYPES:
        found = published.schema(event_type, version)
        known = list(published.versions(event_type))
    else:
        own = _own(event_type, principal, access)
        wanted = own.newest if version is None else parse_version(version)
        found = own_schema(own, wanted) if wanted is not None and wanted in own.documents else None
        known = [written(one) for one in sorted(own.documents)]
    if found is None:
        raise NotFound(f"there is no version {str(version)[:20]!r} of {event_type}; there are {', '.join(known)}")
    return found


@router.put(
    "/v1/schemas/{event_type}",
    summary="Set the JSON Schema of an event type of your own",
    responses={
        **PROBLEMS_OF_ONE,
        201: {"description": "A new version."},
        409: {**PROBLEMS_OF_ONE[404], "description": "Events that are good now could be refused; `problems` says why."},
    },
)
async def put_schema(
    event_type: str,
    document: Annotated[dict[str, Any], Body(description="JSON Schema (2020-12) of the event's `data`.")],
    caller: Admin,
    access: AccessService,
    request: Request,
    compatibility: Annotated[
        Compatibility, Query(description="`none` makes a new major version of what is not backward compatible.")
    ] = "backward",
) -> Response:
    """Make an event type, or a new version of it; the same schema again changes nothing."""
    actor = actor_of(request, caller)
    own, new = await access.schemas.put(caller.tenant, event_type, document, actor, compatibility)
    answer = json(own_summary(own))
    answer.status_code = 201 if new else 200
    return answer


@router.delete(
    "/v1/schemas/{event_type}", status_code=204, summary="Delete an event type of your own", responses=PROBLEMS_OF_ONE
)
async def delete_schema(event_type: str, caller: Admin, access: AccessService, request: Request) -> None:
    """Take an event type away with all its versions: its events are refused from now on, those stored stay."""
    await access.schemas.delete(caller.tenant, event_type, actor_of(request, caller))


def _line(model: type[EventData]) -> dict[str, Any]:
    return {**summary(model), "versions": list(published.versions(model.TYPE)), "own": False}


def _own(event_type: str, principal: Principal, access: AccessService) -> TenantType:
    own = access.schemas.current(principal.tenant).get(event_type)
    if own is None:
        raise NotFound(f"there is no event type {event_type[:100]!r}; GET /v1/schemas lists them")
    return own
