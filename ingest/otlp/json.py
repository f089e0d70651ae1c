"""``application/json`` → rows: hex ids, whole numbers as texts or numbers, enums as numbers or names.

Read by hand and not by protobuf's ``ParseDict``, which takes hex ids for base64 without a word. Unknown fields are
passed over.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from core.errors import BadRequest, TooLarge
from ingest.limits import Limits
from ingest.otlp.attributes import Attributes
from ingest.otlp.points import checked_buckets, checked_point, exponential_bounds
from ingest.otlp.protobuf import scope_pairs
from ingest.otlp.records import Event, Line, Link, Origin, Point, Records, Span, Unreadable, checked_id
from ingest.otlp.values import Value, as_json, members, value_of_json, whole_of_json

_NO_RECORDED_VALUE: Final = 1
_LARGEST: Final = 2**64
_SPAN_KINDS: Final = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUS_CODES: Final = ("UNSET", "OK", "ERROR")
_TEMPORALITIES: Final = ("UNSPECIFIED", "DELTA", "CUMULATIVE")
_SEVERITIES: Final = (
    "UNSPECIFIED",
    *(f"{name}{n}" for name in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL") for n in ("", 2, 3, 4)),
)

_Read = Callable[[Records, dict[str, Any], Origin], None]


def read_spans(body: bytes, limits: Limits, attributes: Attributes) -> Records:
    """The spans of a request; see :func:`_read`."""
    return _read(body, limits, attributes, ("resourceSpans", "scopeSpans", "spans"), _span)


def read_lines(body: bytes, limits: Limits, attributes: Attributes) -> Records:
    """The log lines of a request; see :func:`_read`."""
    return _read(body, limits, attributes, ("resourceLogs", "scopeLogs", "logRecords"), _line)


def read_points(body: bytes, limits: Limits, attributes: Attributes) -> Records:
    """The metric points of a request; see :func:`_read`."""
    return _read(body, limits, attributes, ("resourceMetrics", "scopeMetrics", "metrics"), _metric)


def _read(body: bytes, limits: Limits, attributes: Attributes, names: tuple[str, str, str], read: _Read) -> Records:
    """Items that cannot be read are rejected one by one.

    Raises
    ------
    BadRequest
        The body is no JSON object with the request's array.
    TooLarge
        More items than a body may have.
    """
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    if not isinstance(request, dict) or not isinstance(request.get(names[0], []), list):
        raise BadRequest(f"the body must be a JSON object with an array {names[0]!r}")
    records, large = Records(attributes), len(body) > limits.row_bytes
    for item, origin in _items(request, names, records.attributes):
        if records.count >= limits.rows:
            raise TooLarge(f"the body has more than {limits.rows} items; send it in parts", limit=limits.rows)
        try:
            if not isinstance(item, dict):
                raise Unreadable("", "must be an object")  # noqa: TRY301 - one place refuses
            if large and len(as_json(item)) > limits.row_bytes:
                raise Unreadable("", f"is larger than {limits.row_bytes} bytes")  # noqa: TRY301
            read(records, item, origin)
        except Unreadable as error:
            records.refuse(error.field, error.reason, as_json(item))
    return records


def _items(
    request: dict[str, Any], names: tuple[str, str, str], attributes: Attributes
) -> Iterator[tuple[Any, Origin]]:
    for of_resource in members(request, names[0]):
        given = members(_object(of_resource, "resource"), "attributes")
        pairs, resource = attributes.json(given), as_json(given)
        for of_scope in members(of_resource, names[1]):
            scope = _object(of_scope, "scope")
            name, version = _text(scope, "name"), _text(scope, "version")
            own = attributes.json(members(scope, "attributes"))
            shared = [*pairs, *own, *scope_pairs(attributes, name, version)]
            origin = Origin(shared, name, resource)
            for item in members(of_scope, names[2]):
                yield item, origin


def _object(value: Any, name: str) -> dict[str, Any]:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else "" if found is None else as_json(found).decode()


def _whole(value: Mapping[str, Any], name: str) -> int:
    """A whole number, 0 where there is none."""
    given = value.get(name)
    if given is None:
        return 0
    found = whole_of_json(given)
    if not isinstance(found, int) or not -_LARGEST < found < _LARGEST:
        raise Unreadable(name, "must be a whole number of at most 64 bits")
    return found


def _real(value: Mapping[str, Any], name: str) -> float | None:
    given = value.get(name)
    found = None if given is None else value_of_json({"doubleValue": given})
    if found is not None and not isinstance(found, float):
        raise Unreadable(name, "must be a number")
    return found


def _enum(value: Mapping[str, Any], name: str, choices: tuple[str, ...], prefix: str) -> int:
    """An enum by number, or by name."""
    given = value.get(name)
    if isinstance(given, str) and not given.isdecimal():
        plain = given.upper().removeprefix(prefix)
        if plain in choices:
            return choices.index(plain)
        raise Unreadable(name, f"must be a number, or one of {prefix}{f', {prefix}'.join(choices)}")
    return _whole(value, name)


def _id(value: Mapping[str, Any], name: str, length: int, *, needed: bool = True) -> bytes:
    given = value.get(name)
    try:
        raw = bytes.fromhex(given) if given else b""
    except (TypeError, ValueError):
        raw = b"?"
    return checked_id(raw, length, name, needed=needed)


def _span(records: Records, item: dict[str, Any], origin: Origin) -> None:
    status = _object(item, "status")
    row = Span(
        records.count,
        _id(item, "traceId", 16),
        _id(item, "spanId", 8),
        _id(item, "parentSpanId", 8, needed=False),
        _text(item, "name"),
        _enum(item, "kind", _SPAN_KINDS, "SPAN_KIND_"),
        _whole(item, "startTimeUnixNano"),
        _whole(item, "endTimeUnixNano"),
        _enum(status, "code", _STATUS_CODES, "STATUS_CODE_"),
        _text(status, "message"),
        tuple(
            Event(_whole(one, "timeUnixNano"), _text(one, "name"), _plain(one))
            for one in members(item, "events")
            if isinstance(one, dict)
        ),
        tuple(
            Link(_text(one, "traceId"), _text(one, "spanId"), _plain(one))
            for one in members(item, "links")
            if isinstance(one, dict)
        ),
        origin.scope,
    )
    pairs = records.attributes.json(members(item, "attributes"))
    if item.get("traceState"):
        pairs.append(records.attributes.number("w3c.tracestate", _text(item, "traceState")))
    if item.get("droppedAttributesCount"):
        dropped = _whole(item, "droppedAttributesCount")
        pairs.append(records.attributes.number("otel.dropped_attributes_count", dropped))
    records.keep(row, origin, pairs)


def _plain(item: dict[str, Any]) -> dict[str, Value]:
    return {
        str(pair.get("key", "")): value_of_json(pair.get("value"))
        for pair in members(item, "attributes")
        if isinstance(pair, dict)
    }


def _line(records: Records, item: dict[str, Any], origin: Origin) -> None:
    row = Line(
        records.count,
        _whole(item, "timeUnixNano") or _whole(item, "observedTimeUnixNano"),
        _enum(item, "severityNumber", _SEVERITIES, "SEVERITY_NUMBER_"),
        _text(item, "severityText"),
        value_of_json(item.get("body")),
        _id(item, "traceId", 16, needed=False),
        _id(item, "spanId", 8, needed=False),
        _text(item, "eventName"),
        origin.scope,
        origin.resource + as_json(item),
    )
    records.keep(row, origin, records.attributes.json(members(item, "attributes")))


_KINDS: Final = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_TEMPORALITY: Final = {1: "delta", 2: "cumulative"}


def _metric(records: Records, item: dict[str, Any], origin: Origin) -> None:
    """The points of a metric; one that cannot be read is rejected alone."""
    name, unit = _text(item, "name"), _text(item, "unit")
    kind = next((kind for kind in _KINDS if kind in item), "gauge")
    held = _object(item, kind)
    temporality = _TEMPORALITY.get(_enum(held, "aggregationTemporality", _TEMPORALITIES, "AGGREGATION_TEMPORALITY_"))
    for point in members(held, "dataPoints"):
        try:
            if not isinstance(point, dict):
                raise Unreadable("dataPoints", "must be objects")  # noqa: TRY301 - one place refuses
            if _whole(point, "flags") & _NO_RECORDED_VALUE:
                continue  # says that there is none
            shown, value, details = _POINTS[kind](point)
            if kind == "sum" and held.get("isMonotonic") is True:
                shown = "counter"
            checked_point(value, details)
            written = origin.resource + name.encode(errors="replace") + b"\0" + as_json(point)
            time = _whole(point, "timeUnixNano")
        except Unreadable as error:
            records.refuse(error.field, error.reason, as_json(point))
            continue
        row = Point(records.count, time, name, unit, shown, temporality, value, details, written)
        records.keep(row, origin, records.attributes.json(members(point, "attributes")))


_Made = tuple[str, float | None, dict[str, Any]]


def _plain_point(point: dict[str, Any]) -> _Made:
    whole = point.get("asInt")
    return "gauge", float(_whole(point, "asInt")) if whole is not None else _real(point, "asDouble"), {}


def _numbers(point: Mapping[str, Any], name: str, read: Callable[[Mapping[str, Any], str], Any]) -> list[Any]:
    given = members(point, name)
    checked_buckets(len(given))
    return [read({name: one}, name) for one in given]


def _histogram_point(point: dict[str, Any]) -> _Made:
    details = {
        "bounds": _numbers(point, "explicitBounds", _real),
        "bucket_counts": _numbers(point, "bucketCounts", _whole),
    }
    return _with_sums(point, details)


def _exponential_point(point: dict[str, Any]) -> _Made:
    parts = [
        (_whole(part, "offset"), _numbers(part, "bucketCounts", _whole))
        for part in (_object(point, "negative"), _object(point, "positive"))
    ]
    bounds, counts = exponential_bounds(_whole(point, "scale"), _whole(point, "zeroCount"), *parts)
    return _with_sums(point, {"bounds": bounds, "bucket_counts": counts})


def _with_sums(point: dict[str, Any], details: dict[str, Any]) -> _Made:
    details["count"] = _whole(point, "count")
    for name in ("sum", "min", "max"):
        if (found := _real(point, name)) is not None:
            details[name] = found
    return "histogram", details.get("sum", 0.0) / details["count"] if details["count"] else 0.0, details


def _summary_point(point: dict[str, Any]) -> _Made:
    made = _with_sums({name: point[name] for name in ("count", "sum") if name in point}, {})
    quantiles = {
        str(_real(one, "quantile") or 0.0): _real(one, "value") or 0.0
        for one in members(point, "quantileValues")
        if isinstance(one, dict)
    }
    return made[0], made[1], made[2] | ({"quantiles": quantiles} if quantiles else {})


_POINTS: Final[Mapping[str, Callable[[dict[str, Any]], _Made]]] = {
    "gauge": _plain_point,
    "sum": _plain_point,
    "histogram": _histogram_point,
    "exponentialHistogram": _exponential_point,
    "summary": _summary_point,
}
