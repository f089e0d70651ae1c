"""Lines of logs."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.ingest.otlp.written import ENDED, NOW, PLAIN, TRACE, any_value, decode, events, logs, one, pairs, span_id


def line(body: Any = "retrying", attributes: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "timeUnixNano": str(ENDED),
        "severityNumber": 13,
        "body": any_value(body),
        "attributes": pairs(attributes or {}),
        **more,
    }


def test_a_line_becomes_a_log_record_below_its_span() -> None:
    resource = {"service.name": "gateway", "deployment.environment": "production"}
    given = line(
        attributes={"user.id": "u-1", "code.line": 7}, traceId=TRACE, spanId=span_id(3), eventName="gateway.retry"
    )
    event = one(logs(given, resource=resource, scope="gateway.client"), project="experiment")
    assert event["type"] == "log.record"
    assert event["time"] == NOW - timedelta(minutes=1)
    assert (event["source"], event["environment"], event["user_id"]) == ("gateway", "production", "u-1")
    assert (event["trace_id"], event["parent_span_id"]) == (TRACE, span_id(3))
    assert "span_id" not in event
    assert event["project"] == "experiment"
    assert event["body"] == {"body": "retrying"}
    assert event["data"] == {"severity": "warn", "logger": "gateway.client", "service": "gateway"}
    assert event["attributes"] == {"code.line": "7", "event.name": "gateway.retry", "otel.scope.name": "gateway.client"}


@pytest.mark.parametrize(
    ("number", "text", "severity"),
    [
        (1, "", "trace"),
        (8, "", "debug"),
        (9, "WARN", "info"),
        (24, "", "fatal"),
        (0, "Warning", "warn"),
        (0, "CRITICAL", "fatal"),
        (0, "Error", "error"),
        (0, "odd", None),
        (99, "", None),
    ],
)
def test_severities(number: int, text: str, severity: str | None) -> None:
    event = one(logs(line(severityNumber=number, severityText=text)))
    assert event["data"].get("severity") == severity


@pytest.mark.parametrize("body", ['{"a": 1}', {"a": {"b": [1, True, "x"]}}, ["a"], 5, True])
def test_bodies_stay_what_they_are(body: Any) -> None:
    assert one(logs(line(body)))["body"] == {"body": body}


def test_a_line_without_a_body_has_its_events_name() -> None:
    given = {"observedTimeUnixNano": str(ENDED), "eventName": "session.start"}
    event = one(logs(given))
    assert event["body"] == {"body": "session.start"}
    assert event["time"] == NOW - timedelta(minutes=1)
    assert one(logs({}))["time"] == NOW


def test_prompts_in_log_events_are_contents() -> None:
    given = line(
        {}, {"gen_ai.input.messages": '[{"role":"user"}]'}, eventName="gen_ai.client.inference.operation.details"
    )
    event = one(logs(given))
    assert event["body"] == {"body": {}, "input_messages": [{"role": "user"}]}
    silent = decode(logs(line("secret words")), arrival=replace(PLAIN, capture=False))
    assert "secret" not in str(silent.table.to_pydict())


def test_an_evaluation_becomes_a_score() -> None:
    given = {
        "gen_ai.evaluation.name": "Relevance",
        "gen_ai.evaluation.score.value": 0.8,
        "gen_ai.evaluation.score.label": "relevant",
        "gen_ai.evaluation.explanation": "It answers.",
        "gen_ai.response.id": "r-1",
    }
    event = one(logs(line(attributes=given, eventName="gen_ai.evaluation.result", traceId=TRACE, spanId=span_id(1))))
    assert event["type"] == "evaluation.score"
    assert event["data"] == {"evaluator": "Relevance", "score": 0.8, "label": "relevant"}
    assert event["attributes"]["gen_ai.response.id"] == "r-1"
    half = one(logs(line(attributes={"gen_ai.evaluation.name": "R"}, eventName="gen_ai.evaluation.result")))
    assert half["type"] == "log.record"


def test_ids_are_the_same_when_lines_come_again_and_differ_where_lines_are_equal() -> None:
    for plain in (True, False):
        first = [event["id"] for event in events(decode(logs(line(), line(), line("other")), plain=plain))]
        again = [event["id"] for event in events(decode(logs(line(), line(), line("other")), plain=plain))]
        elsewhere = [event["id"] for event in events(decode(logs(line(), resource={"service.name": "b"}), plain=plain))]
        assert first == again
        assert len({*first, *elsewhere}) == 4


def test_bad_lines_are_rejected_beside_good_ones() -> None:
    old = str(ENDED - 100 * 86400 * 10**9)
    decoded = decode(logs(line(), line(traceId="ab"), line(timeUnixNano=old), line("last")))
    assert decoded.table.num_rows == 2
    assert [(row.index, row.field) for row in decoded.rejected] == [(1, "traceId"), (2, "time")]
