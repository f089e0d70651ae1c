"""``POST /api/public/otel/v1/traces``: for exporters that are set up for Langfuse; the secret key is the hub's."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from access.principal import Principal
from access.web import require
from ingest.doors.otlp_receiving import OPTIONS, TRACES, receive
from ingest.otlp.answer import OtlpRoute

router = APIRouter(tags=["events in"], route_class=OtlpRoute)


@router.post("/api/public/otel/v1/traces", summary="Send spans (OTLP, as to Langfuse)", **OPTIONS)
async def post_traces(
    request: Request, principal: Annotated[Principal, Depends(require("ingest", basic=True))]
) -> Response:
    """Take spans in; HTTP Basic with any public key, and the hub's key as the secret one."""
    return await receive(request, principal, TRACES)
