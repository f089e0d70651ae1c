"""The web application: doors, endpoints and pages on one app; every error is RFC 9457 ``application/problem+json``."""

import json
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp

from core.errors import HubError
from core.metrics import Metrics
from core.traces import NO_TRACES
from hub.docs_page import docs_page
from hub.watch import Watch

logger = logging.getLogger("llm_hub.web")

DESCRIPTION = """
Events in, answers out. Every request needs `Authorization: Bearer lh_…` (or `X-API-Key`); the key names the tenant.
Errors are `application/problem+json` (RFC 9457): `title`, `status`, `detail`, and where it helps `field` and `nearest`.
"""


_DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    """An RFC 9457 answer."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, **(extra or {})}
    return Response(_json(body), status, headers=dict(headers or {}), media_type="application/problem+json")


def _json(body: Mapping[str, Any]) -> bytes:
    """JSON of anything: what a sender wrote may be quoted, and half a surrogate pair is no UTF-8."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body, default=str).encode()


async def _hub_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    if error.status >= 500:
        logger.warning("%s: %s", error.title, error.detail)
    return problem(error.status, error.title, error.detail, headers=error.headers, extra=error.extra)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [{"field": _field(item["type"], item["loc"]), "reason": item["msg"]} for item in error.errors()]
    first = errors[0] if errors else {"field": "", "reason": "the request is not valid"}
    detail = f"{first['field']}: {first['reason']}" if first["field"] else first["reason"]
    return problem(422, "Unprocessable", detail, extra={"field": first["field"], "errors": errors})


def _field(kind: str, loc: Sequence[str | int]) -> str:
    """``measures.0``; of JSON that cannot be read FastAPI tells the position instead of a field."""
    names = () if kind == "json_invalid" else loc[1:]
    return ".".join(map(str, names)) or str(loc[0])


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail), str(error.detail), headers=error.headers)


async def _gone(_: Request, error: Exception) -> Response:
    """Nobody reads this: whoever sent the body went away before its end, and nothing of it was kept."""
    assert isinstance(error, ClientDisconnect)
    return problem(400, "Bad request", "the body ended before it was complete")


async def _unexpected(request: Request, error: Exception) -> Response:
    """Nothing of the inside reaches the client but an id to find it by in the log."""
    reference = uuid.uuid4().hex[:12]
    logger.error("unexpected error %s at %s %s", reference, request.method, request.url.path, exc_info=error)
    return problem(500, "Internal error", f"this is a mistake of the hub; its log has it as {reference}")


class _Watched(FastAPI):
    """Watched from outside of everything, the handler of unexpected errors included."""

    def build_middleware_stack(self) -> ASGIApp:
        held = self.state
        metrics, traces = getattr(held, "metrics", None) or Metrics(), getattr(held, "traces", None) or NO_TRACES
        return Watch(super().build_middleware_stack(), metrics, traces)


def build_web(version: str, routers: Iterable[APIRouter], services: Mapping[str, Any]) -> FastAPI:
    """The application.

    Parameters
    ----------
    version
        Shown in the OpenAPI document.
    routers
        Doors, endpoints and pages, in the order in which paths are tried.
    services
        What they find on ``app.state``.
    """
    app = _Watched(
        title="LLM Analytics Hub",
        version=version,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        docs_url=None,
        redoc_url=None,
    )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi()), headers={"Content-Security-Policy": _DOCS_POLICY})

    for name, service in services.items():
        setattr(app.state, name, service)
    for router in routers:
        app.include_router(router)
    app.add_exception_handler(HubError, _hub_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)
    return app
