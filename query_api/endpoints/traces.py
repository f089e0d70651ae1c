"""``/v1/traces``: search, and one trace as a tree."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict

from core.errors import Unprocessable
from query_api.paging import first_place, moments, place_of
from query_api.responses import PROBLEMS, PROBLEMS_OF_ONE, json
from query_api.services import Caller, Semantic
from query_api.window import Cursor, Filters, From, Limit, To, Zone, build, parse_filter
from semantic import catalogue, traces
from semantic.compile import time_range

router = APIRouter(tags=["traces"])

Errors = Annotated[bool | None, Query(description="Only traces with an error in them, or only those without.")]
Least = Annotated[float | None, Query(ge=0, le=1e12, description="Only traces that took at least so many ms.")]
Order = Annotated[
    str,
    Query(
        max_length=64,
        description=f"One of {', '.join(f'`{name}`' for name in traces.ORDERS)}, with `:asc` or `:desc`.",
    ),
]


class TraceSummary(BaseModel):
    """A trace in a list."""

    trace_id: str
    name: str
    start: str
    end: str
    duration_ms: float
    spans: int
    errors: int
    status: str
    cost_usd: float | None
    input_tokens: int
    output_tokens: int
    user_id: str | None
    session_id: str | None
    models: list[str]


class TracePage(BaseModel):
    """A page of traces."""

    traces: list[TraceSummary]
    cursor: str | None


class SpanModel(BaseModel):
    """A span, with the spans below it."""

    model_config = ConfigDict(extra="allow")

    span_id: str | None
    parent_span_id: str | None
    id: str
    name: str
    type: str
    start: str
    duration_ms: float | None
    status: str | None
    cost_usd: float | None
    data: dict[str, Any]
    children: list["SpanModel"]


class TraceModel(BaseModel):
    """A whole trace."""

    trace_id: str
    spans: list[SpanModel]
    cost_usd: float | None
    duration_ms: float
    start: str
    session_id: str | None
    user_id: str | None
    truncated: bool


def _order(text: str) -> tuple[str, bool]:
    name, _, direction = text.partition(":")
    if name not in traces.ORDERS or direction not in ("", "asc", "desc"):
        close = catalogue.nearest(name, traces.ORDERS)
        raise Unprocessable(
            f"order: write NAME:asc or NAME:desc with NAME one of {', '.join(traces.ORDERS)}.",
            field="order",
            nearest=close,
        )
    return name, direction != "asc"


@router.get("/v1/traces", summary="Search traces", response_model=TracePage, responses=PROBLEMS)
async def search(
    caller: Caller,
    semantic: Semantic,
    filters: Filters = [],  # noqa: B006 - FastAPI copies defaults
    start: From = "now-1h",
    end: To = "now",
    time_zone: Zone = "UTC",
    errors: Errors = None,
    min_duration_ms: Least = None,
    order: Order = "start:desc",
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Traces that have an event for which all filters hold, within the range."""
    name, descending = _order(order)
    question = build(
        {
            "measures": ["traces"],
            "time": {"from": start, "to": end},
            "time_zone": time_zone,
            "filters": [parse_filter(text, index) for index, text in enumerate(filters)],
        }
    )
    place = first_place(*time_range(question, semantic.now())) if cursor is None else place_of(cursor)
    since, until = moments(place)
    wanted = traces.Search(
        since, until, question.filters, name, descending, limit + 1, place.offset, errors, min_duration_ms
    )
    found = await traces.find(semantic, caller.tenant, wanted)
    following = type(place)(place.offset + limit, place.start, place.end).text() if len(found) > limit else None
    return json({"traces": found[:limit], "cursor": following})


@router.get("/v1/traces/{trace_id}", summary="One trace", response_model=TraceModel, responses=PROBLEMS_OF_ONE)
async def one(
    trace_id: Annotated[str, Path(max_length=64, description="32 hex digits.")], caller: Caller, semantic: Semantic
) -> Response:
    """A trace as a tree of spans. Spans whose parent is not there are roots."""
    return json(await traces.trace(semantic, caller.tenant, trace_id))
