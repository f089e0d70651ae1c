"""``/metrics`` for Prometheus: open on loopback; elsewhere with the metrics key or a key of the scope ``query``."""

import hmac
import ipaddress

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from access.service import Access
from access.web import require
from core.metrics import Metrics
from query_api.responses import PROBLEMS

router = APIRouter(tags=["operation"])

_guard = require("query")


def is_loopback(request: Request) -> bool:
    """Whether the caller is on this machine, and no proxy speaks for somebody else."""
    if request.client is None or "forwarded" in request.headers or "x-forwarded-for" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def has_metrics_key(request: Request) -> bool:
    """Whether the caller has the key that opens nothing but this."""
    access: Access = request.app.state.access
    expected = f"Bearer {access.config.metrics_key}".encode()
    given = request.headers.get("authorization", "").encode("utf-8", "surrogateescape")
    return bool(access.config.metrics_key) and hmac.compare_digest(expected, given)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={**PROBLEMS, 200: {"content": {"text/plain": {}}, "description": "Metrics."}},
)
async def metrics(request: Request) -> Response:
    """The hub's own metrics (`llm_hub_…`), and tokens and costs of model calls."""
    if not is_loopback(request) and not has_metrics_key(request):
        await _guard(request)
    held: Metrics = request.app.state.metrics
    return Response(generate_latest(held.registry), media_type=CONTENT_TYPE_LATEST)
