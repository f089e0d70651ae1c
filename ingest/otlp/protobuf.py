"""``application/x-protobuf`` → rows."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.message import DecodeError

from core.errors import BadRequest, TooLarge
from ingest.limits import Limits
from ingest.otlp.attributes import Attributes
from ingest.otlp.points import checked_buckets, checked_point, exponential_bounds
from ingest.otlp.records import Event, Line, Link, Origin, Point, Records, Span, Unreadable, checked_id
from ingest.otlp.values import Value, text_of, value_of
from ingest.otlp.wire import MESSAGES

_NO_RECORDED_VALUE: Final = 1
_TEMPORALITY: Final = {1: "delta", 2: "cumulative"}

#: Reads one item into rows.
_Read = Callable[[Records, bytes, Origin, Limits], None]


def read_spans(body: bytes, limits: Limits, attributes: Attributes) -> Records:
    """The spans of an ``ExportTraceServiceRequest``; see :func:`_read`."""
    return _read(body, limits, attributes, _span)


def read_lines(body: bytes, limits: Limits, attributes: Attributes) -> Records:
    """The lines of an ``ExportLogsServiceRequest``; see :func:`_read`."""
    return _read(body, limits, attributes, _line)


def read_points(body: bytes, limits: Limits, attributes: Attributes) -> Records:
    """The points of an ``ExportMetricsServiceRequest``; see :func:`_read`."""
    return _read(body, limits, attributes, _metric)


def _read(body: bytes, limits: Limits, attributes: Attributes, read: _Read) -> Records:
    """Items that cannot be read are rejected one by one.

    Raises
    ------
    BadRequest
        What holds the items is broken: there is no telling where one begins.
    TooLarge
        More items than a body may have.
    """
    records = Records(attributes)
    for item, origin in _items(body, records.attributes):
        if records.count >= limits.rows:
            raise TooLarge(f"the body has more than {limits.rows} items; send it in parts", limit=limits.rows)
        try:
            if len(item) > limits.row_bytes:
                raise Unreadable("", f"is larger than {limits.row_bytes} bytes")  # noqa: TRY301 - one place refuses
            read(records, item, origin, limits)
        except DecodeError:
            records.refuse("", "is no protobuf message of OTLP", item)
        except Unreadable as error:
            records.refuse(error.field, error.reason, item)
    return records


def _items(body: bytes, attributes: Attributes) -> Iterator[tuple[bytes, Origin]]:
    try:
        for encoded in MESSAGES["Request"].FromString(body).resources:
            of_resource = MESSAGES["OfResource"].FromString(encoded)
            pairs = attributes.encoded(of_resource.resource.attributes)
            resource = b"".join(sorted(of_resource.resource.attributes))
            for scoped in of_resource.scopes:
                of_scope = MESSAGES["OfScope"].FromString(scoped)
                scope = of_scope.scope
                name, version = text_of(scope.name), text_of(scope.version)
                shared = [*pairs, *attributes.encoded(scope.attributes), *scope_pairs(attributes, name, version)]
                origin = Origin(shared, name, resource)
                for item in of_scope.items:
                    yield item, origin
    except DecodeError:
        raise BadRequest("the body is no protobuf request of OTLP for this path") from None


def scope_pairs(attributes: Attributes, name: str, version: str) -> Iterator[int]:
    """The instrumentation scope as attributes, named as OpenTelemetry names them outside OTLP."""
    if name:
        yield attributes.number("otel.scope.name", name)
    if version:
        yield attributes.number("otel.scope.version", version)


_SPAN: Final = MESSAGES["Span"]


def _span(records: Records, item: bytes, origin: Origin, _: Limits) -> None:
    span = _SPAN.FromString(item)
    events, links = span.events, span.links
    pairs = records.attributes.encoded(span.attributes)
    if span.trace_state:
        pairs.append(records.attributes.number("w3c.tracestate", text_of(span.trace_state)))
    if span.dropped:
        pairs.append(records.attributes.number("otel.dropped_attributes_count", span.dropped))
    status, message = 0, ""
    if span.HasField("status"):
        status, message = span.status.code, text_of(span.status.message)
    row = Span(
        records.count,
        checked_id(span.trace_id, 16, "traceId"),
        checked_id(span.span_id, 8, "spanId"),
        checked_id(span.parent_span_id, 8, "parentSpanId", needed=False),
        text_of(span.name),
        span.kind,
        span.start,
        span.end,
        status,
        message,
        tuple([Event(one.time, text_of(one.name), _plain(one.attributes)) for one in events]) if events else (),
        tuple([Link(one.trace_id.hex(), one.span_id.hex(), _plain(one.attributes)) for one in links]) if links else (),
        origin.scope,
    )
    records.keep(row, origin, pairs)


_KEY_VALUE: Final = MESSAGES["KeyValue"]


def _plain(pairs: Any) -> dict[str, Value]:
    read = map(_KEY_VALUE.FromString, pairs)
    return {text_of(pair.key): value_of(pair.value) for pair in read}


def _line(records: Records, item: bytes, origin: Origin, _: Limits) -> None:
    line = MESSAGES["LogRecord"].FromString(item)
    row = Line(
        records.count,
        line.time or line.observed,
        line.severity,
        text_of(line.severity_text),
        value_of(line.body) if line.HasField("body") else None,
        checked_id(line.trace_id, 16, "traceId", needed=False),
        checked_id(line.span_id, 8, "spanId", needed=False),
        text_of(line.event_name),
        origin.scope,
        origin.resource + item,
    )
    records.keep(row, origin, records.attributes.encoded(line.attributes))


def _metric(records: Records, item: bytes, origin: Origin, limits: Limits) -> None:
    metric = MESSAGES["Metric"].FromString(item)
    name, unit = text_of(metric.name), text_of(metric.unit)
    for point, kind, temporality, value, details in _points(metric):
        if point.flags & _NO_RECORDED_VALUE:
            continue  # says that there is none
        if records.count >= limits.rows:
            raise TooLarge(f"the body has more than {limits.rows} points; send it in parts", limit=limits.rows)
        checked_point(value, details)
        written = origin.resource + name.encode() + b"\0" + point.SerializeToString(deterministic=True)
        row = Point(records.count, point.time, name, unit, kind, temporality, value, details, written)
        records.keep(row, origin, records.attributes.encoded(point.attributes))


_Found = tuple[Any, str, str | None, float | None, dict[str, Any]]


def _points(metric: Any) -> Iterator[_Found]:
    """Point, kind, temporality, value and further fields."""
    for point in metric.gauge.points:
        yield point, "gauge", None, _number(point), {}
    for point in metric.sum.points:
        kind = "counter" if metric.sum.monotonic else "gauge"
        yield point, kind, _TEMPORALITY.get(metric.sum.temporality), _number(point), {}
    for point in metric.histogram.points:
        checked_buckets(len(point.bucket_counts))
        details = {"bounds": list(point.bounds), "bucket_counts": list(point.bucket_counts)}
        yield _histogram(point, metric.histogram.temporality, details)
    for point in metric.exponential.points:
        parts = [(part.offset, list(part.counts)) for part in (point.negative, point.positive)]
        bounds, counts = exponential_bounds(point.scale, point.zeros, *parts)
        yield _histogram(point, metric.exponential.temporality, {"bounds": bounds, "bucket_counts": counts})
    for point in metric.summary.points:
        found = {str(one.quantile): one.value for one in point.quantiles}
        details = {"count": point.count, "sum": point.sum} | ({"quantiles": found} if found else {})
        yield point, "histogram", None, point.sum / point.count if point.count else 0.0, details


def _histogram(point: Any, temporality: int, details: dict[str, Any]) -> _Found:
    details["count"] = point.count
    for name, field in (("sum", "sum"), ("min", "least"), ("max", "most")):
        if point.HasField(field):
            details[name] = getattr(point, field)
    mean = details.get("sum", 0.0) / point.count if point.count else 0.0
    return point, "histogram", _TEMPORALITY.get(temporality), mean, details


def _number(point: Any) -> float | None:
    if point.HasField("real"):
        return float(point.real)
    return float(point.whole) if point.HasField("whole") else None
