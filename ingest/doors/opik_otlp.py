"""``POST /v1/private/otel/v1/traces``: for exporters that are set up for Opik, whose key stands bare in the header."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from access.principal import Principal
from access.web import require
from ingest.doors.otlp_receiving import OPTIONS, TRACES, receive
from ingest.otlp.answer import OtlpRoute

router = APIRouter(tags=["events in"], route_class=OtlpRoute)


@router.post("/v1/private/otel/v1/traces", summary="Send spans (OTLP, as to Opik)", **OPTIONS)
async def post_traces(
    request: Request,
    principal: Annotated[Principal, Depends(require("ingest", bare=True))],
    project: Annotated[str | None, Header(alias="projectName")] = None,
) -> Response:
    """Take spans in; ``projectName`` is the project of those that name none."""
    return await receive(request, principal, TRACES, project)
