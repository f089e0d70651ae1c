"""OTLP's JSON is not protobuf's JSON: hex ids, numbers in texts, enums as numbers or names, unknown fields."""

from typing import Any

import pytest

from tests.ingest.otlp.written import ENDED, decode, events, logs, span, traces


def only(request: dict[str, Any]) -> dict[str, Any]:
    (event,) = events(decode(request))
    return event


def test_hex_ids_are_no_base64() -> None:
    event = only(traces(span(1, traceId="5B8EFFF798038103D269B633813FC60C", spanId="EEE19B7EC3C1B174")))
    assert (event["trace_id"], event["span_id"]) == ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174")


@pytest.mark.parametrize("value", ["SPAN_KIND_SERVER", "server", 2, "2"])
def test_enums_by_number_or_name(value: Any) -> None:
    assert only(traces(span(1, kind=value)))["data"]["kind"] == "server"
    assert only(traces(span(1, status={"code": "STATUS_CODE_ERROR"})))["data"]["status"] == "error"
    line = {"timeUnixNano": str(ENDED), "severityNumber": "SEVERITY_NUMBER_WARN2", "body": {"stringValue": "x"}}
    assert only(logs(line))["data"]["severity"] == "warn"


def test_times_as_numbers_or_texts_and_unknown_fields() -> None:
    event = only(traces(span(1, startTimeUnixNano=ENDED - 5 * 10**6, endTimeUnixNano=ENDED, somethingNew={"a": [1]})))
    assert event["data"]["duration_ms"] == 5.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"intValue": 7}, "7"),
        ({"intValue": "-7"}, "-7"),
        ({"intValue": 7.0}, "7"),
        ({"intValue": "9" * 30}, "9" * 30),
        ({"intValue": True}, "true"),
        ({"doubleValue": "NaN"}, "nan"),
        ({"doubleValue": "Infinity"}, "inf"),
        ({"doubleValue": 1}, "1.0"),
        ({"doubleValue": [1]}, "[1]"),
        ({"boolValue": "yes"}, "yes"),
        ({"stringValue": 5}, "5"),
        ({"bytesValue": "aGk="}, "aGk="),
        ({"arrayValue": {}}, "[]"),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}, 5]}}, '{"a":1}'),
        ({"unknownValue": 5}, None),
        ({}, None),
        ("text", None),
    ],
)
def test_values(value: Any, text: str | None) -> None:
    given = {**span(1), "attributes": [{"key": "k", "value": value}, {"key": 5}, 7]}
    assert only(traces(given))["attributes"].get("k") == text


def test_nesting_has_an_end() -> None:
    value: dict[str, Any] = {"stringValue": "deep"}
    for _ in range(50):
        value = {"arrayValue": {"values": [value]}}
    text = only(traces({**span(1), "attributes": [{"key": "k", "value": value}]}))["attributes"]["k"]
    assert "nested too deeply" in text


@pytest.mark.parametrize(
    "change",
    [
        {"traceId": "xyz"},
        {"traceId": 5},
        {"traceId": None},
        {"spanId": "5b8efff798038103d269b633813fc60c"},
        {"kind": "SPAN_KIND_ODD"},
        {"kind": [2]},
        {"startTimeUnixNano": "soon"},
        {"endTimeUnixNano": "99999999999999999999999"},
        {"status": {"code": "BAD"}},
        {"events": [{"timeUnixNano": {}}]},
    ],
)
def test_a_field_that_cannot_be_read_rejects_its_span_and_is_named(change: dict[str, Any]) -> None:
    decoded = decode(traces(span(1, **change), span(2)))
    assert decoded.table.num_rows == 1
    (row,) = decoded.rejected
    assert row.index == 0
    assert row.field
    assert row.reason.startswith("must be")


def test_items_that_are_no_objects_are_rejected_or_passed_over() -> None:
    request = traces(span(1))
    request["resourceSpans"][0]["scopeSpans"][0]["spans"].append(7)
    request["resourceSpans"] += [5, {"scopeSpans": 5}, {"resource": 5, "scopeSpans": [5, {"scope": 5, "spans": None}]}]
    decoded = decode(request)
    assert decoded.table.num_rows == 1
    assert [(row.index, row.reason) for row in decoded.rejected] == [(1, "must be an object")]
