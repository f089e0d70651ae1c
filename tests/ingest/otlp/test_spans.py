"""What is worked out of spans beside their attributes: ids, times, errors, clocks, sessions; and what is refused."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from core.errors import BadRequest, TooLarge
from core.ids import derived_id
from ingest.batch import Decoded
from ingest.limits import Limits
from ingest.otlp.spans import decode_spans
from tests.ingest.otlp.written import (
    ARRIVAL,
    ENDED,
    LIMITS,
    MS,
    NOW,
    PLAIN,
    TRACE,
    as_protobuf,
    decode,
    events,
    one,
    pairs,
    span,
    span_id,
    traces,
)


def test_a_span_is_written_at_its_end_with_its_duration_and_its_ids() -> None:
    event = one(traces(span(2, parent=1, start_ms=1840.25, end_ms=0.0, name="GET /", kind=2)))
    assert event["time"] == NOW - timedelta(minutes=1)
    assert event["data"] == {"name": "GET /", "kind": "server", "duration_ms": 1840.25, "status": "ok"}
    assert (event["trace_id"], event["span_id"], event["parent_span_id"]) == (TRACE, span_id(2), span_id(1))
    assert event["id"] == derived_id("acme", TRACE, span_id(2)).hex
    assert "parent_span_id" not in one(traces(span(1)))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [(0, "internal"), (1, "internal"), (2, "server"), (3, "client"), (4, "producer"), (5, "consumer"), (9, "internal")],
)
def test_kinds(kind: int, expected: str) -> None:
    assert one(traces(span(1, kind=kind)))["data"]["kind"] == expected


def test_a_span_without_times_has_the_time_of_receipt() -> None:
    event = one(traces(span(1, startTimeUnixNano="0", endTimeUnixNano="0")))
    assert event["time"] == NOW
    assert event["data"]["duration_ms"] == 0
    unended = one(traces(span(1, endTimeUnixNano="0")))
    assert unended["time"] == NOW - timedelta(minutes=1, seconds=1)


def test_errors_tell_their_kind() -> None:
    def exception(**attributes: Any) -> dict[str, Any]:
        return {"timeUnixNano": str(ENDED), "name": "exception", "attributes": pairs(attributes)}

    failed = {"code": 2, "message": "boom"}
    by_event = one(traces(span(1, status=failed, events=[exception(**{"exception.type": "openai.RateLimitError"})])))
    assert by_event["data"]["status"] == "error"
    assert by_event["data"]["status_message"] == "boom"
    assert by_event["data"]["error_type"] == "RateLimitError"
    assert by_event["data"]["events"] == [
        {
            "name": "exception",
            "time": (NOW - timedelta(minutes=1)).isoformat(),
            "attributes": {"exception.type": "openai.RateLimitError"},
        }
    ]
    by_attribute = one(traces(span(1, {"error.type": "429"}, status=failed, events=[exception()])))
    assert by_attribute["data"]["error_type"] == "429"
    handled = one(traces(span(1, events=[exception(**{"exception.type": "E"})])))
    assert handled["data"]["status"] == "ok"
    assert "error_type" not in handled["data"]


def test_links_states_and_what_was_dropped_are_kept() -> None:
    link = {"traceId": TRACE, "spanId": span_id(9), "attributes": pairs({"why": "batch"})}
    event = one(traces(span(1, links=[link], traceState="a=1", droppedAttributesCount=3)))
    assert event["data"]["links"] == [{"trace_id": TRACE, "span_id": span_id(9), "attributes": {"why": "batch"}}]
    assert event["attributes"]["w3c.tracestate"] == "a=1"
    assert event["attributes"]["otel.dropped_attributes_count"] == "3"


@pytest.mark.parametrize("name", ["First Token Stream Event", "gen_ai.content.completion.chunk"])
def test_an_event_of_the_first_token_tells_the_time_to_it(name: str) -> None:
    chunks = [{"timeUnixNano": str(ENDED - ms * MS), "name": name} for ms in (700, 600)]
    event = one(traces(span(1, {"gen_ai.request.model": "m"}, events=chunks)))
    assert event["data"]["time_to_first_token_ms"] == 300.0


def test_a_long_name_is_cut_and_an_empty_one_is_filled() -> None:
    assert len(one(traces(span(1, name="n" * 300)))["data"]["name"]) == 256
    assert one(traces(span(1, name="")))["data"]["name"] == "unnamed"


def test_sessions_and_users_come_down_from_the_spans_above() -> None:
    who = {"session.id": "s-1", "user.id": "u-1"}
    spans = [span(4, parent=3), span(3, {"user.id": "u-2"}, parent=2), span(2, parent=1), span(1, who), span(5)]
    for plain in (True, False):
        found = {event["span_id"]: event for event in events(decode(traces(*spans), plain=plain))}
        assert [found[span_id(n)].get("session_id") for n in (1, 2, 3, 4, 5)] == ["s-1"] * 4 + [None]
        assert [found[span_id(n)].get("user_id") for n in (1, 2, 3, 4)] == ["u-1", "u-1", "u-2", "u-2"]


def test_a_circle_of_parents_ends() -> None:
    assert (
        len(events(decode(traces(span(1, parent=2), span(2, parent=1), span(3, parent=3), span(4, {"user.id": "u"})))))
        == 4
    )


def test_clocks_that_disagree_are_marked() -> None:
    spans = [span(1, start_ms=1000), span(2, parent=1, start_ms=1250), span(3, parent=1, start_ms=1000.5)]
    backwards = span(4, start_ms=0, end_ms=40)
    found = {event["span_id"]: event for event in events(decode(traces(*spans, backwards)))}
    assert found[span_id(2)]["attributes"]["llm_hub.clock_skew_ms"] == "250.000"
    assert found[span_id(4)]["attributes"]["llm_hub.clock_skew_ms"] == "40.000"
    assert found[span_id(4)]["data"]["duration_ms"] == 0
    assert all("llm_hub.clock_skew_ms" not in found[span_id(number)]["attributes"] for number in (1, 3))


def test_a_project_is_for_spans_that_name_none() -> None:
    spans = traces(span(1), span(2, {"openinference.project.name": "own"}))
    found = {event["span_id"]: event["project"] for event in events(decode(spans, project="experiment-7"))}
    assert found == {span_id(1): "experiment-7", span_id(2): "own"}


def test_contents_are_redacted_and_dropped_where_the_tenant_wants_that() -> None:
    given = {"gen_ai.request.model": "m", "gen_ai.input.messages": '[{"content":"I am bob@example.com"}]'}
    request = traces(span(1, given), span(2))
    event = events(decode(request, arrival=ARRIVAL))[0]
    assert event["body"] == {"input_messages": [{"content": "I am [redacted:email]"}]}
    silent = decode(request, arrival=replace(PLAIN, capture=False))
    assert silent.dropped_bodies == 1
    assert all(event["body"] == {} for event in events(silent))
    assert "bob" not in str(silent.table.to_pydict())


# --- what is refused


def rejected(decoded: Decoded) -> list[tuple[int, str]]:
    return [(row.index, row.field) for row in decoded.rejected]


def test_good_spans_are_kept_beside_bad_ones() -> None:
    old, ahead = str(ENDED - 100 * 86400 * 10**9), str(ENDED + 3 * 86400 * 10**9)
    spans = [
        span(1),
        span(2, traceId="00" * 16),
        span(3, spanId="ab"),
        span(4, endTimeUnixNano=old, startTimeUnixNano=old),
        span(5, endTimeUnixNano=ahead),
        span(6, parentSpanId="abcd"),
        span(7, endTimeUnixNano=str(2**64 - 1)),
        span(8),
    ]
    for plain in (True, False):
        decoded = decode(traces(*spans), plain=plain)
        assert [event["span_id"] for event in events(decoded)] == [span_id(1), span_id(8)]
        assert rejected(decoded) == [
            (1, "traceId"),
            (2, "spanId"),
            (3, "time"),
            (4, "time"),
            (5, "parentSpanId"),
            (6, "time"),
        ]
        assert "retention" in decoded.rejected[2].reason
        assert decoded.all_ids


def test_a_broken_span_of_protobuf_is_rejected_alone() -> None:
    body = as_protobuf(traces(span(1), span(2, {"k": "marked"}), span(3)))
    broken = body.replace(b"\x12\x08\x0a\x06marked", b"\x12\x08\x0a\x7fmarked")
    assert broken != body
    decoded = decode_spans(broken, PLAIN, LIMITS, plain=False)
    assert [event["span_id"] for event in events(decoded)] == [span_id(1), span_id(3)]
    assert [(row.index, row.kind) for row in decoded.rejected] == [(1, "protobuf")]
    assert b"marked" in decoded.rejected[0].original


def test_text_that_is_no_unicode_is_repaired() -> None:
    body = as_protobuf(traces(span(1, {"k": "marked"}))).replace(b"marked", b"m\xffrked")
    (event,) = events(decode_spans(body, PLAIN, LIMITS, plain=False))
    assert event["attributes"]["k"] == "m\ufffdrked"


def test_a_span_that_is_too_large_is_rejected() -> None:
    request = traces(span(1, {"k": "x" * 2000}), span(2))
    decoded = decode_spans(as_protobuf(request), PLAIN, Limits(row_bytes=1000), plain=False)
    assert rejected(decoded) == [(0, "")]
    plain = decode_spans(orjson.dumps(request), PLAIN, Limits(row_bytes=1000), plain=True)
    assert rejected(plain) == [(0, "")]


@pytest.mark.parametrize("plain", [True, False])
def test_too_many_spans_are_too_large(plain: bool) -> None:
    request = traces(span(1), span(2), span(3))
    body = orjson.dumps(request) if plain else as_protobuf(request)
    with pytest.raises(TooLarge):
        decode_spans(body, PLAIN, Limits(rows=2), plain=plain)


@pytest.mark.parametrize("body", [b"\x0a\xff", b"\x0a\x05abc", b"\x0a\x03\x12\x7f\x00"])
def test_what_is_no_protobuf_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_spans(body, PLAIN, LIMITS, plain=False)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"resourceSpans":{}}', b"{", b"\xff"])
def test_what_is_no_json_request_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        decode_spans(body, PLAIN, LIMITS, plain=True)


@pytest.mark.parametrize(("body", "plain"), [(b"", False), (b"{}", True), (b'{"resourceSpans":[]}', True)])
def test_a_request_without_spans_is_fine(body: bytes, plain: bool) -> None:
    decoded = decode_spans(body, PLAIN, LIMITS, plain=plain)
    assert decoded.rows == 0


def test_what_the_hub_says_itself_stands_over_an_attribute_of_the_same_name() -> None:
    given = {"gen_ai.request.model": "m", "span.name": "theirs"}
    assert one(traces(span(1, given, name="ours")))["attributes"]["span.name"] == "ours"
