"""The hub's own spans over OpenTelemetry's SDK, an extra that is imported only where traces are wanted."""

import os
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from core.ids import uuid7
from core.traces import TRACE_ID, Kind, Span, Traces, Value
from hub.release import release
from hub.watch import OWN_TRACES

#: Causes that are remembered at most, of a span and between spans.
_CAUSES: Final = 8
_TIMEOUT_S: Final = 3.0
_KINDS: Final = {kind.name.lower(): kind for kind in trace.SpanKind}
_PROPAGATOR: Final = TraceContextTextMapPropagator()


def otlp_exporter(endpoint: str, headers: Mapping[str, str]) -> SpanExporter:
    """Sends spans over OTLP/HTTP to ``endpoint``/v1/traces, marked as a hub's own."""
    url = endpoint.rstrip("/") + "/v1/traces"
    return OTLPSpanExporter(url, headers={**headers, OWN_TRACES.decode(): "1"}, timeout=_TIMEOUT_S)


class OtelTraces(Traces):
    """Spans for as long as :meth:`stop` is not called.

    Parameters
    ----------
    role
        Of the process; names the service.
    ratio
        Share of the requests that are traced unless their sender has decided.
    exporter
        Where spans go, in batches from a thread of its own; a full queue drops them.
    """

    on = True

    def __init__(self, role: str, ratio: float, exporter: SpanExporter) -> None:
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(ratio)), resource=_resource(role), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("llm_hub", release())
        self._left: dict[str, deque[str]] = defaultdict(partial(deque, maxlen=_CAUSES))
        self._lock = threading.Lock()

    def stop(self) -> None:
        """Send what waits, for a few seconds at most. Blocks."""
        self._provider.shutdown()

    @contextmanager
    def request(self, name: str, traceparent: str, attributes: Mapping[str, Value] | None = None) -> Iterator[Span]:
        outside = _context_of(traceparent)
        with self._made(name, "server", outside, (), attributes) as span:
            yield span

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind = "internal",
        *,
        attributes: Mapping[str, Value] | None = None,
        caused_by: Sequence[str] | None = None,
    ) -> Iterator[Span]:
        causes = [_context_of(one) for one in (caused_by or ())[:_CAUSES]]
        parent = context.get_current() if caused_by is None else next(iter(causes), context.Context())
        if not _context_in(parent).trace_flags.sampled:
            with _within(parent):  # an untraced cause must not put its work into the trace that happens to be in hand
                yield Span()
            return
        links = [trace.Link(_context_in(one)) for one in causes[1:]]
        with self._made(name, kind, parent, links, attributes) as span:
            yield span

    def traceparent(self) -> str:
        if not trace.get_current_span().get_span_context().trace_flags.sampled:
            return ""
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get("traceparent", "")

    def leave(self, name: str) -> None:
        if cause := self.traceparent():
            with self._lock:
                self._left[name].append(cause)

    def causes(self, name: str) -> Sequence[str]:
        with self._lock:
            return tuple(self._left.pop(name, ()))

    @contextmanager
    def _made(
        self,
        name: str,
        kind: Kind,
        parent: context.Context,
        links: Sequence[trace.Link],
        attributes: Mapping[str, Value] | None,
    ) -> Iterator[Span]:
        """A span that is the one in hand; an exception is told by its class alone: its text may quote contents."""
        span = self._tracer.start_span(name, parent, _KINDS[kind], attributes, links)
        told = _OtelSpan(span)
        number = TRACE_ID.set(f"{span.get_span_context().trace_id:032x}")
        try:
            with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                try:
                    yield told
                except Exception as error:
                    told.fail(type(error).__name__)
                    raise
        finally:
            TRACE_ID.reset(number)


class _OtelSpan(Span):
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, name: str, value: Value) -> None:
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def fail(self, reason: str) -> None:
        self._span.set_status(trace.StatusCode.ERROR, reason)


@contextmanager
def _within(parent: context.Context) -> Iterator[None]:
    token = context.attach(parent)
    try:
        yield
    finally:
        context.detach(token)


def _context_of(traceparent: str) -> context.Context:
    return _PROPAGATOR.extract({"traceparent": traceparent}, context.Context())


def _context_in(held: context.Context) -> trace.SpanContext:
    return trace.get_current_span(held).get_span_context()


def _resource(role: str) -> Resource:
    """Who says so: a service for each role, and an instance for each process."""
    return Resource.create(
        {
            "service.name": "llm-hub" if role == "all" else f"llm-hub-{role}",
            "service.namespace": "llm-hub",
            "service.version": release(),
            "service.instance.id": str(uuid7()),
            "host.name": socket.gethostname(),
            "process.pid": os.getpid(),
        }
    )
