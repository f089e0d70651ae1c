"""Watches every request: how long it takes and how it ends by route, and its trace."""

import re
import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.metrics import Metrics
from core.traces import NO_TRACES, TENANT, TRACE_ID, Span, Traces

#: The header of a hub's own spans: taking them in is not traced, or hubs that trace into each other would never rest.
OWN_TRACES: Final = b"llm-hub-own-traces"
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Watch:
    """ASGI middleware around the whole application.

    Parameters
    ----------
    app
        What answers.
    metrics
        Where requests are counted: until the head of the answer, since live streams never end by themselves.
    traces
        Where they are traced.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, traces: Traces = NO_TRACES) -> None:
        self._app, self._metrics, self._traces = app, metrics, traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        traceparent = header_of(scope, b"traceparent")
        number, tenant = TRACE_ID.set(trace_id_of(traceparent)), TENANT.set("")
        try:
            if header_of(scope, OWN_TRACES):
                await self._watched(scope, receive, send, Span())
            else:
                with self._traces.request(method_of(scope), traceparent) as span:
                    await self._watched(scope, receive, send, span)
        finally:
            TRACE_ID.reset(number)
            TENANT.reset(tenant)

    async def _watched(self, scope: Scope, receive: Receive, send: Send, span: Span) -> None:
        began = time.perf_counter()
        head: tuple[float, int] | None = None

        async def told(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start":
                head = time.perf_counter() - began, message["status"]
            await send(message)

        self._metrics.http_open.inc()
        try:
            await self._app(scope, receive, told)
        finally:
            self._metrics.http_open.dec()
            # without a head the application has failed, and the outermost handler answers
            seconds, status = head or (time.perf_counter() - began, 500)
            route, method = route_of(scope), method_of(scope)
            self._metrics.http_seconds.labels(route, method, str(status)).observe(seconds)
            span.rename(f"{method} {route}")
            span.set("http.request.method", method)
            span.set("http.route", route)
            span.set("http.response.status_code", status)
            if TENANT.get():
                span.set("llm_hub.tenant", TENANT.get())
            if status >= 500:
                span.fail(str(status))


def route_of(scope: Scope) -> str:
    """The path template that answered; ``none`` for a path that nobody serves."""
    return str(getattr(scope.get("route"), "path", "none"))


def method_of(scope: Scope) -> str:
    """The method, as long as it is one."""
    return str(scope["method"]) if scope["method"] in _METHODS else "other"


def header_of(scope: Scope, name: bytes) -> str:
    """A header's first value; empty where it was not sent."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def trace_id_of(traceparent: str) -> str:
    """The trace that a sender names (W3C Trace Context), for the log; empty where it is none."""
    found = _TRACEPARENT.match(traceparent)
    return found[1] if found else ""
