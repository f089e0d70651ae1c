"""``POST /i/v0/ai/otel``: for exporters that are set up for PostHog; the project's token is the hub's key."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from access.principal import Principal
from access.web import require
from ingest.doors.otlp_receiving import OPTIONS, TRACES, receive
from ingest.otlp.answer import OtlpRoute

router = APIRouter(tags=["events in"], route_class=OtlpRoute)


@router.post("/i/v0/ai/otel", summary="Send spans (OTLP, as to PostHog)", **OPTIONS)
@router.post("/i/v0/ai/otel/v1/traces", include_in_schema=False, **OPTIONS)
async def post_traces(request: Request, principal: Annotated[Principal, Depends(require("ingest"))]) -> Response:
    """Take spans in; exporters that add ``/v1/traces`` to the address are served as well."""
    return await receive(request, principal, TRACES)
