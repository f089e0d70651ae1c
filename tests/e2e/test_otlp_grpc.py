"""OpenTelemetry's own gRPC exporters against a hub that was started with the real command."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from grpc import Compression
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from benchmarks.common import Hub
from tests.hub.running import PATIENCE

pytestmark = pytest.mark.slow

RESOURCE = Resource.create({"service.name": "refunds"})
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 100,
    "gen_ai.usage.output_tokens": 20,
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("grpc") / "data"
    folder.mkdir()
    hub = Hub(folder, {"LLM_HUB_OTLP_GRPC": "on", "LLM_HUB_OTLP_GRPC_PORT": "0"})
    hub.start()
    yield hub
    hub.kill()


def client(hub: Hub, key: str) -> httpx.Client:
    return httpx.Client(base_url=hub.url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


def exporting(hub: Hub, key: str, **more: Any) -> dict[str, Any]:
    with client(hub, key) as asking:
        part = asking.get("/health/ready").json()["checks"]["otlp_grpc"]
    assert (part["status"], part["state"]) == ("ok", "running")
    return {"endpoint": f"http://{part['detail']}", "headers": {"authorization": f"Bearer {key}"}, **more}


def tenant(hub: Hub, name: str) -> str:
    with client(hub, hub.key) as asking:
        assert asking.post("/v1/tenants", json={"id": name, "name": name}).status_code == 201
        wanted = {"tenant": name, "role": "developer", "scopes": ["ingest", "query"], "expires": None}
        return str(asking.post("/v1/keys", json=wanted).json()["key"])


def rows(hub: Hub, key: str, measures: list[str], by: str, at_least: int = 1) -> dict[str, list[Any]]:
    question = {"measures": measures, "dimensions": [by], "time": {"from": "now-1h", "to": "now+1h"}}
    until = time.monotonic() + PATIENCE
    with client(hub, key) as asking:
        while time.monotonic() < until:
            answer = asking.post("/v1/query", json=question)
            assert answer.status_code == 200, answer.text
            found = {row[0]: row[1:] for row in answer.json()["rows"]}
            if sum(row[0] for row in found.values()) >= at_least:
                return found
    raise AssertionError(f"{found} is not enough")


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip], ids=["plain", "gzip"])
def test_a_trace(hub: Hub, compression: Compression) -> None:
    key = tenant(hub, f"spans-{compression.name.lower()}")
    provider = TracerProvider(resource=RESOURCE)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**exporting(hub, key, compression=compression))))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("invoke_agent", attributes={"session.id": "s-9", "user.id": "u-9"}) as agent:
        agent.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "refunds"})
        with tracer.start_as_current_span("chat gpt-4o", attributes=CHAT):
            pass
    provider.shutdown()
    assert rows(hub, key, ["events", "input_tokens", "cost_usd"], "model", 2)["gpt-4o"] == [
        1,
        100,
        pytest.approx((100 * 2.5 + 20 * 10) / 1e6),
    ]
    with client(hub, key) as asking:
        (top,) = asking.get(f"/v1/traces/{agent.get_span_context().trace_id:032x}").json()["spans"]
        (below,) = top["children"]
        assert (top["type"], below["type"]) == ("agent.run", "llm.request")
        assert asking.get(f"/v1/events/{below['id']}").json()["session_id"] == "s-9"


def test_logs_and_metrics(hub: Hub) -> None:
    key = tenant(hub, "lines")
    lines = LoggerProvider(resource=RESOURCE)
    lines.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(**exporting(hub, key))))
    lines.get_logger("tests").emit(
        LogRecord(
            timestamp=time.time_ns(),
            severity_number=SeverityNumber.WARN,
            severity_text="WARN",
            body="retrying after 429",
        )
    )
    lines.shutdown()
    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter(**exporting(hub, key)))], RESOURCE)
    meters.get_meter("tests").create_counter("orders").add(3)
    meters.shutdown()
    assert {name: row[0] for name, row in rows(hub, key, ["events"], "type", 2).items()} == {
        "log.record": 1,
        "metric.sample": 1,
    }


def test_two_tenants_never_meet(hub: Hub) -> None:
    keys = {name: tenant(hub, name) for name in ("acme", "globex")}
    for name, key in keys.items():
        provider = TracerProvider(resource=Resource.create({"service.name": name, "tenant": "globex"}))
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(**exporting(hub, key))))
        with provider.get_tracer("tests").start_as_current_span("chat", attributes=CHAT):
            pass
        provider.shutdown()
    for name, key in keys.items():
        assert rows(hub, key, ["events"], "source") == {name: [1]}


def test_a_wrong_key(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    exporter = OTLPSpanExporter(**exporting(hub, hub.key) | {"headers": {"authorization": "Bearer lh_wrong"}})
    provider = TracerProvider(resource=RESOURCE)
    made: list[Any] = []
    with provider.get_tracer("tests").start_as_current_span("chat") as span:
        made.append(span)
    assert exporter.export(made) is SpanExportResult.FAILURE
    exporter.shutdown()
    assert "UNAUTHENTICATED" in caplog.text


def test_what_was_answered_is_there_after_a_stop(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder, {"LLM_HUB_OTLP_GRPC": "on", "LLM_HUB_OTLP_GRPC_PORT": "0"})
    hub.start()
    try:
        exporter = OTLPSpanExporter(**exporting(hub, hub.key))
        provider = TracerProvider(resource=RESOURCE)
        with provider.get_tracer("tests").start_as_current_span("chat", attributes=CHAT) as span:
            pass
        assert exporter.export([span]) is SpanExportResult.SUCCESS  # type: ignore[list-item]
        assert hub.stop() == 0
        exporter.shutdown()
        hub.start()
        assert rows(hub, hub.key, ["events"], "source") == {"refunds": [1]}
    finally:
        hub.kill()
