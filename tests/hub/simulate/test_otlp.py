"""What the simulator says at the OTLP doors, read with OpenTelemetry's own messages."""

from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hub.simulate.otlp import logs, metrics, traces
from hub.simulate.via import otlp

WHO = {"trace_id": "0" * 31 + "1", "span_id": "0" * 15 + "2", "parent_span_id": "0" * 15 + "1", "session_id": "s-1"}
ENVELOPE = {"id": "x", "source": "gateway", "time": "2026-11-02T00:00:01.000250Z", "project": "bot"}


def an_event(kind: str, /, **data: Any) -> dict[str, Any]:
    return {**ENVELOPE, **WHO, "type": kind, "data": data, "attributes": {"region": "eu"}}


def named(attributes: Any) -> dict[str, Any]:
    """Attributes by name; their values as Python's."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def test_a_call_is_a_span_with_todays_attributes() -> None:
    event = an_event(
        "llm.request", provider="openai", model="gpt-4o", operation="chat", input_tokens=8, duration_ms=12.5,
        time_to_first_token_ms=4.0, finish_reason="stop", stream=True, status="error", error_type="timeout",
        input_messages=[{"role": "user", "content": "hi"}], feature="chat", attempt=2,
    )  # fmt: skip
    (resource,) = ExportTraceServiceRequest.FromString(traces([event])).resource_spans
    assert named(resource.resource.attributes) == {"service.name": "gateway", "service.namespace": "bot"}
    (span,) = resource.scope_spans[0].spans
    assert (span.name, span.status.code, span.parent_span_id.hex()) == ("chat gpt-4o", 2, WHO["parent_span_id"])
    assert span.end_time_unix_nano - span.start_time_unix_nano == 12_500_000
    assert span.end_time_unix_nano % 1_000_000_000 == 250_000
    told = named(span.attributes)
    assert [one.string_value for one in told.pop("gen_ai.response.finish_reasons").values] == ["stop"]
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 8,
        "gen_ai.response.time_to_first_chunk": 0.004,
        "gen_ai.request.stream": True,
        "gen_ai.input.messages": '[{"role":"user","content":"hi"}]',
        "gen_ai.conversation.id": "s-1",
        "error.type": "timeout",
        "llm_hub.feature": "chat",
        "llm_hub.attempt": 2,
        "region": "eu",
    }


@pytest.mark.parametrize(
    ("kind", "data", "operation"),
    [
        ("retrieval.query", {"index": "docs", "scores": [0.9], "document_ids": ["d-1"], "returned": 1}, "retrieval"),
        ("tool.call", {"tool_name": "search"}, "execute_tool"),
        ("agent.run", {"agent_name": "planner"}, "invoke_agent"),
    ],
)
def test_other_work_is_a_span_too(kind: str, data: dict[str, Any], operation: str) -> None:
    body = traces([an_event(kind, duration_ms=1.0, **data)])
    (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
    told = named(resource.scope_spans[0].spans[0].attributes)
    assert told["gen_ai.operation.name"] == operation
    if kind == "retrieval.query":
        assert told["gen_ai.retrieval.documents"] == '[{"id":"d-1","score":0.9}]'


def test_lines_and_judgements_are_logs() -> None:
    line = an_event("log.record", body="late", severity="warn", logger="pool", service="api")
    judged = an_event("evaluation.score", evaluator="tone", score=0.5, passed=False)
    request = ExportLogsServiceRequest.FromString(logs([line, judged]))
    of_line, of_judged = request.resource_logs
    assert named(of_line.resource.attributes)["service.name"] == "api"
    (record,) = of_line.scope_logs[0].log_records
    assert (of_line.scope_logs[0].scope.name, record.severity_number, record.body.string_value) == ("pool", 13, "late")
    (record,) = of_judged.scope_logs[0].log_records
    assert record.event_name == "gen_ai.evaluation.result"
    told = named(record.attributes)
    assert (told["gen_ai.evaluation.name"], told["gen_ai.evaluation.score.value"]) == ("tone", 0.5)
    assert told["llm_hub.passed"] is False


def test_samples_are_points() -> None:
    histogram = {
        "kind": "histogram", "temporality": "delta", "value": 0.5, "count": 2, "sum": 1.0, "bounds": [1.0],
        "bucket_counts": [2.0, 0.0],
    }  # fmt: skip
    counter = {"kind": "counter", "temporality": "delta", "value": 3.0, "unit": "s"}
    events = [
        an_event("metric.sample", name=data["kind"], **data)
        for data in (histogram, counter, {"kind": "gauge", "value": 1.5})
    ]
    (resource,) = ExportMetricsServiceRequest.FromString(metrics(events)).resource_metrics
    first, second, third = resource.scope_metrics[0].metrics
    assert (first.histogram.data_points[0].count, list(first.histogram.data_points[0].bucket_counts)) == (2, [2, 0])
    assert (second.sum.is_monotonic, second.sum.data_points[0].as_double, second.unit) == (True, 3.0, "s")
    assert third.gauge.data_points[0].as_double == 1.5


def test_what_otlp_has_no_form_for_goes_as_lines() -> None:
    loose = {**an_event("llm.embedding", model="m"), "span_id": None}
    del loose["span_id"]
    bodies = otlp([an_event("guardrail.check", policy="p", verdict="pass"), loose, an_event("feedback.rating")])
    assert [(body.path, body.items) for body in bodies] == [("/v1/events", 3)]
