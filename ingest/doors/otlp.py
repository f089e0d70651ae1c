"""``POST /v1/traces``, ``/v1/logs`` and ``/v1/metrics``: OTLP over HTTP."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from access.principal import Principal
from access.web import require
from ingest.doors.otlp_receiving import LOGS, METRICS, OPTIONS, TRACES, receive
from ingest.otlp.answer import OtlpRoute

router = APIRouter(tags=["events in"], route_class=OtlpRoute)

Sender = Annotated[Principal, Depends(require("ingest"))]


@router.post("/v1/traces", summary="Send spans (OTLP)", **OPTIONS)
async def post_traces(
    request: Request,
    principal: Sender,
    experiment: Annotated[str | None, Header(alias="x-mlflow-experiment-id")] = None,
) -> Response:
    """Take spans in; MLflow's experiment is the project of those that name none."""
    return await receive(request, principal, TRACES, experiment)


@router.post("/v1/logs", summary="Send log records (OTLP)", **OPTIONS)
async def post_logs(request: Request, principal: Sender) -> Response:
    """Take lines of logs in."""
    return await receive(request, principal, LOGS)


@router.post("/v1/metrics", summary="Send metrics (OTLP)", **OPTIONS)
async def post_metrics(request: Request, principal: Sender) -> Response:
    """Take points of metrics in."""
    return await receive(request, principal, METRICS)
