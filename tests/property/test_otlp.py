"""Whatever comes over OTLP: no mistake of the hub, the good rows are kept, every other one is counted."""

import math
from contextlib import suppress
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BadRequest, HubError
from ingest.batch import Decoded
from ingest.otlp import meanings
from ingest.otlp import spans as spans_module
from ingest.otlp.logs import decode_lines, decode_lines_of
from ingest.otlp.metrics import decode_points, decode_points_of
from ingest.otlp.spans import decode_spans, decode_spans_of
from ingest.otlp.waiting import Waiting
from schemas.arrow import LOG_SCHEMA, widen
from schemas.catalogue import EVENT_TYPES
from tests.ingest.otlp.written import (
    ARRIVAL,
    ENDED,
    LIMITS,
    TRACE,
    any_value,
    as_protobuf,
    decode,
    events,
    logs,
    metrics,
    pairs,
    span,
    span_id,
    traces,
)

quick = settings(deadline=None, max_examples=80, suppress_health_check=list(HealthCheck))
DECODERS = st.sampled_from([decode_spans, decode_lines, decode_points])

texts = st.one_of(st.text(max_size=12), st.sampled_from(["", "{", "[", "[1]", '{"a":1}', "LLM", "chat", "x" * 5000]))
scalars = st.one_of(texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(width=64))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
#: Names that mean something, and others; also those of flattened lists.
names = st.one_of(
    st.sampled_from(sorted({*meanings.FIELDS, *meanings.TYPES, *meanings.OBJECTS})),
    st.builds(
        "{}{}.{}".format,
        st.sampled_from(sorted(meanings.MESSAGES)),
        st.integers(0, 3),
        st.sampled_from(
            [
                "role",
                "content",
                "message.role",
                "message.tool_calls.0.tool_call.function.name",
                "document.id",
                "document.score",
                "",
            ]
        ),
    ),
    texts,
)
kinds = st.sampled_from([(name, value) for name, known in meanings.TYPES.items() for value in known])
attributes = st.builds(
    lambda given, kind: {**given, kind[0]: kind[1]} if kind else given,
    st.dictionaries(names, values, max_size=8),
    st.none() | kinds,
)


def finite(value: Any) -> Any:
    """JSON has no NaN."""
    match value:
        case float() if not math.isfinite(value):
            return str(value)
        case list():
            return [finite(item) for item in value]
        case dict():
            return {key: finite(item) for key, item in value.items()}
    return value


events_of_spans = st.builds(
    lambda name, given: {"timeUnixNano": str(ENDED), "name": name, "attributes": pairs(finite(given))},
    st.sampled_from([*sorted(meanings.EVENTS), *sorted(meanings.FIRST_TOKEN), "exception", "x"]),
    st.dictionaries(names, values, max_size=3),
)
spans = st.lists(
    st.builds(
        lambda given, parent, status, noted: {
            "parent": parent,
            "attributes": finite(given),
            "status": {"code": status},
            "events": noted,
        },
        attributes,
        st.integers(0, 6),
        st.integers(0, 3),
        st.lists(events_of_spans, max_size=3),
    ),
    min_size=1,
    max_size=6,
)


def is_whole(decoded: Decoded, rows: int) -> None:
    """Every row is an event or is rejected, once, and what was kept is what the log takes."""
    assert decoded.rows == rows
    assert len({row.index for row in decoded.rejected}) == len(decoded.rejected)
    assert set(decoded.table.column_names) <= set(LOG_SCHEMA.names)
    for event in events(decoded):
        EVENT_TYPES[event["type"]].model_validate({**event["data"], **event["body"]})


@quick
@given(spans, st.booleans())
def test_spans_with_any_attributes_are_kept_and_valid(made: list[dict[str, Any]], plain: bool) -> None:
    request = traces(*(span(number, **one) for number, one in enumerate(made, 1)))
    decoded = decode(request, plain=plain, arrival=ARRIVAL)
    is_whole(decoded, len(made))
    assert not decoded.rejected
    counted = [event for event in events(decoded) if event["type"] in ("llm.request", "llm.embedding")]
    assert all(event["data"]["model"] for event in counted)


@quick
@given(spans)
def test_both_encodings_say_the_same(made: list[dict[str, Any]]) -> None:
    request = traces(*(span(number, **one) for number, one in enumerate(made, 1)))
    found = []
    for plain in (True, False):
        spans_module._WAITING = Waiting()  # type: ignore[misc]
        found.append(events(decode(request, plain=plain)))
    assert found[0] == found[1]


@quick
@given(st.binary(max_size=200), DECODERS, st.booleans())
def test_garbage_is_refused_or_holds_nothing(body: bytes, decoder: Any, plain: bool) -> None:
    with suppress(HubError):
        decoder(body, ARRIVAL, LIMITS, plain=plain)


_SPAN = {"gen_ai.request.model": "m", "k": [1, {"a": "b"}]}
_LINE = {"timeUnixNano": str(ENDED), "body": any_value({"a": [1]}), "traceId": TRACE, "spanId": span_id(1)}
_HISTOGRAM = {"count": "3", "sum": 1.0, "bucketCounts": ["1", "2"], "explicitBounds": [1.0]}
_EXPONENTIAL = {"count": "3", "scale": 1, "positive": {"bucketCounts": ["3"]}}
BODIES = {
    "traces": (decode_spans, traces(*(span(number, _SPAN, parent=number - 1) for number in (1, 2, 3)))),
    "logs": (decode_lines, logs(_LINE, _LINE, _LINE)),
    "metrics": (
        decode_points,
        metrics(
            {"name": "h", "histogram": {"dataPoints": [_HISTOGRAM]}},
            {"name": "e", "exponentialHistogram": {"dataPoints": [_EXPONENTIAL]}},
            {"name": "vllm:num_requests_running", "gauge": {"dataPoints": [{"asInt": "1"}]}},
        ),
    ),
}


@settings(quick, max_examples=250)
@given(st.sampled_from(sorted(BODIES)), st.booleans(), st.data())
def test_mutated_requests_are_kept_in_part_or_refused(signal: str, plain: bool, data: st.DataObject) -> None:
    decoder, request = BODIES[signal]
    body = bytearray(orjson.dumps(request) if plain else as_protobuf(request))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(body) - 1, 0)))
        match data.draw(st.sampled_from(["set", "cut", "insert", "end"])):
            case "set":
                body[place : place + 1] = bytes([data.draw(st.integers(0, 255))])
            case "cut":
                del body[place : place + data.draw(st.integers(1, 9))]
            case "insert":
                body[place:place] = data.draw(st.binary(min_size=1, max_size=6))
            case "end":
                del body[place:]
    try:
        decoded = decoder(bytes(body), ARRIVAL, LIMITS, plain=plain)
    except BadRequest:
        return
    is_whole(decoded, decoded.rows)


@quick
@given(st.lists(st.booleans(), min_size=1, max_size=8), st.booleans())
def test_good_spans_are_kept_and_the_others_counted(good: list[bool], plain: bool) -> None:
    made = [span(number, **({} if fine else {"spanId": "ab"})) for number, fine in enumerate(good, 1)]
    decoded = decode(traces(*made), plain=plain)
    assert [event["span_id"] for event in events(decoded)] == [span_id(n) for n, fine in enumerate(good, 1) if fine]
    assert [row.index for row in decoded.rejected] == [n for n, fine in enumerate(good) if not fine]


#: Requests that share trace ids, wrappers and calls of other requests, workers and messages in parts.
_CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 5}
_PARTS = {"llm.input_messages.0.message.content": "a", "llm.input_messages.0.message.role": "user", "session.id": "s"}
_SAME = {"name": "vllm:num_requests_running", "gauge": {"dataPoints": [{"asInt": "1", "timeUnixNano": str(ENDED)}]}}
REQUESTS = {
    "traces": [
        BODIES["traces"][1],
        traces(span(1, _CALL, parent=2)),
        traces(span(2, _CALL, start_ms=1001, parent=3)),
        traces(span(3, {"session.id": "t"}), span(4, _PARTS, parent=3), span(4, _PARTS), span(5, parent=4)),
        traces(span(6, dict(reversed(_PARTS.items())), parent=3), span(7, {"user.id": "u"}, spanId="ab")),
        traces(span(8, {"gen_ai.request.model": "m"}, endTimeUnixNano="1", startTimeUnixNano="1")),
        traces(),
    ],
    "logs": [BODIES["logs"][1], logs(_LINE, _LINE), logs({**_LINE, "traceId": "ab"}, _LINE)],
    "metrics": [
        BODIES["metrics"][1],
        metrics(_SAME, _SAME),
        metrics(_SAME, {"name": "x", "sum": {"dataPoints": [{}]}}),
    ],
}
_TOGETHER = {"traces": decode_spans_of, "logs": decode_lines_of, "metrics": decode_points_of}


def outcome(found: Decoded | HubError) -> Any:
    """All that a sender and the log see of a body."""
    if isinstance(found, HubError):
        return type(found), found.detail
    rows = widen(found.table).to_pylist() if found.table.num_rows else []
    return rows, found.rejected, found.path, found.all_ids


@settings(quick, max_examples=200)
@given(st.sampled_from(sorted(REQUESTS)), st.booleans(), st.data())
def test_bodies_that_are_decoded_together_become_what_they_would_alone(
    signal: str, plain: bool, data: st.DataObject
) -> None:
    bodies = []
    for request in data.draw(st.lists(st.sampled_from(REQUESTS[signal]), min_size=1, max_size=6)):
        body = orjson.dumps(request) if plain else as_protobuf(request) if next(iter(request.values())) else b""
        cut = data.draw(st.none() | st.integers(0, len(body)))
        bodies.append(body if cut is None else body[:cut] + data.draw(st.sampled_from([b"", b"\xff", body])))
    decode_together = _TOGETHER[signal]
    spans_module._WAITING = Waiting()  # type: ignore[misc]
    together = [outcome(one) for one in decode_together(bodies, ARRIVAL, LIMITS, plain=plain)]
    spans_module._WAITING = Waiting()  # type: ignore[misc]
    singly = [outcome(decode_together([body], ARRIVAL, LIMITS, plain=plain)[0]) for body in bodies]
    assert together == singly


@quick
@given(st.lists(spans, min_size=2, max_size=4), st.booleans())
def test_any_attributes_together_are_what_they_are_alone(made: list[list[dict[str, Any]]], plain: bool) -> None:
    requests = [traces(*(span(number, **one) for number, one in enumerate(spans, 1))) for spans in made]
    bodies = [orjson.dumps(one) if plain else as_protobuf(one) for one in requests]
    spans_module._WAITING = Waiting()  # type: ignore[misc]
    together = [outcome(one) for one in decode_spans_of(bodies, ARRIVAL, LIMITS, plain=plain)]
    spans_module._WAITING = Waiting()  # type: ignore[misc]
    assert together == [outcome(decode_spans_of([body], ARRIVAL, LIMITS, plain=plain)[0]) for body in bodies]
