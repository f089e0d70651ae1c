"""The OTLP doors over HTTP: answers, errors, retries, compression, limits, and the aliases."""

import base64
import gzip
from typing import Any

import httpx
import orjson
import pytest
import zstandard
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from core.errors import Retryable, SlowDown, TooManyRequests
from core.metrics import Metrics
from tests.ingest.fakes import FakeAccess, FakeLog, reverse
from tests.ingest.otlp.written import ENDED, any_value, as_protobuf, logs, metrics, span, traces

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
LINE = {"timeUnixNano": str(ENDED), "body": any_value("x")}
POINT = {"name": "n", "gauge": {"dataPoints": [{"timeUnixNano": str(ENDED), "asInt": "1"}]}}
#: Path, request, a part of it that is bad, answer's message, its count in JSON.
SIGNALS: list[tuple[str, dict[str, Any], dict[str, Any], Any, str]] = [
    (
        "/v1/traces",
        traces(span(1)),
        traces(span(1), span(2, traceId="ab")),
        ExportTraceServiceResponse,
        "rejectedSpans",
    ),
    ("/v1/logs", logs(LINE), logs(LINE, {**LINE, "traceId": "ab"}), ExportLogsServiceResponse, "rejectedLogRecords"),
    (
        "/v1/metrics",
        metrics(POINT),
        metrics(POINT, {"name": "m", "gauge": {"dataPoints": [{}]}}),
        ExportMetricsServiceResponse,
        "rejectedDataPoints",
    ),
]


@pytest.mark.parametrize(("path", "good", "bad", "message", "name"), SIGNALS, ids=[one[0] for one in SIGNALS])
async def test_answers_are_those_of_otlp_in_the_content_type_of_the_request(
    client: httpx.AsyncClient,
    log: FakeLog,
    path: str,
    good: dict[str, Any],
    bad: dict[str, Any],
    message: Any,
    name: str,
) -> None:
    answer = await client.post(path, content=as_protobuf(good), headers=PROTOBUF)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert not message.FromString(answer.content).HasField("partial_success")
    answer = await client.post(path, content=orjson.dumps(good), headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    answer = await client.post(
        path, content=orjson.dumps(bad), headers={"content-type": "application/json; charset=utf-8"}
    )
    partial = answer.json()["partialSuccess"]
    assert partial[name] == "1"
    assert partial["errorMessage"].startswith("rejected 1 of 2")
    answer = await client.post(path, content=as_protobuf(bad), headers=PROTOBUF)
    told = message.FromString(answer.content).partial_success
    assert next(value for _, value in told.ListFields()) == 1
    assert "[1]" in told.error_message
    assert {event["tenant"] for event in log.events()} == {"acme"}
    assert log.dead_letters()


async def test_many_bad_spans_are_counted_and_some_are_explained(client: httpx.AsyncClient, log: FakeLog) -> None:
    answer = await client.post(
        "/v1/traces", json=traces(*(span(number, spanId="x") for number in range(1, 9)), span(9))
    )
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "8"
    assert partial["errorMessage"].endswith("…")
    assert len(log.events()) == 1
    letter = orjson.loads(reverse(log.dead_letters()[0]))
    assert len(letter["rows"]) == 8
    assert letter["door"] == "otlp_traces"


async def test_the_same_body_again_is_a_retry(client: httpx.AsyncClient, log: FakeLog, metrics: Metrics) -> None:
    for path, good, bad, _, _ in SIGNALS:
        body = as_protobuf(bad)
        first = await client.post(path, content=body, headers=PROTOBUF)
        count = len(log.events())
        again = await client.post(path, content=body, headers=PROTOBUF)
        assert again.content == first.content
        assert len(log.events()) == count
        assert good
    assert metrics.ingest_duplicates.labels("otlp_traces")._value.get() == 1


@pytest.mark.parametrize("path", [one[0] for one in SIGNALS])
@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"\x0a\xff", PROTOBUF, 400, 3),
        (b"{", JSON, 400, 3),
        (b"[]", JSON, 400, 3),
        (b"{}", {"content-type": "text/plain"}, 415, 3),
        (b"{}", {}, 415, 3),
        (b"{}", {**JSON, "content-encoding": "br"}, 415, 3),
        (b"{}", {**JSON, "content-encoding": "gzip"}, 400, 3),
        (b"\x0a" + b"\x00" * (1 << 21), PROTOBUF, 413, 3),
        (gzip.compress(b" " * (4 << 20)), {**JSON, "content-encoding": "gzip"}, 413, 3),
    ],
)
async def test_errors_are_a_status_in_the_content_type_of_the_request(
    client: httpx.AsyncClient, path: str, body: bytes, headers: dict[str, str], status: int, code: int
) -> None:
    answer = await client.post(path, content=body, headers=headers)
    assert answer.status_code == status
    told = read_status(answer)
    assert told.code == code
    assert told.message


def read_status(answer: httpx.Response) -> Status:
    if answer.headers["content-type"] == "application/x-protobuf":
        return Status.FromString(answer.content)
    assert answer.headers["content-type"] == "application/json"
    return Status(**answer.json())


@pytest.mark.parametrize("headers", [PROTOBUF, JSON])
async def test_who_has_no_key_is_told_so(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    del client.headers["x-api-key"]
    answer = await client.post("/v1/traces", content=b"", headers=headers)
    assert answer.status_code == 401
    assert read_status(answer).code == 16


@pytest.mark.parametrize("error", [SlowDown("busy", retry_after=3), Retryable("down")])
async def test_back_pressure_is_503_with_a_time_to_wait(client: httpx.AsyncClient, log: FakeLog, error: Any) -> None:
    log.fail_with.append(error)
    body = as_protobuf(traces(span(1)))
    answer = await client.post("/v1/traces", content=body, headers=PROTOBUF)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert read_status(answer).code == 14
    assert (await client.post("/v1/traces", content=body, headers=PROTOBUF)).status_code == 200
    assert len(log.events()) == 1


async def test_a_keys_limit_is_503_and_never_429(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: FakeAccess, principal: Any, count: int = 0) -> None:
        raise TooManyRequests("too many", retry_after=7)

    monkeypatch.setattr(FakeAccess, "take_events", full)
    answer = await client.post("/v1/traces", json=traces(span(1)))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
    monkeypatch.setattr(FakeAccess, "take_request", full)
    answer = await client.post("/v1/logs", content=b"", headers=PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstandard.compress), ("", bytes)])
async def test_compressed_bodies(client: httpx.AsyncClient, log: FakeLog, encoding: str, compress: Any) -> None:
    headers = {**PROTOBUF, "content-encoding": encoding} if encoding else PROTOBUF
    answer = await client.post("/v1/traces", content=compress(as_protobuf(traces(span(1)))), headers=headers)
    assert answer.status_code == 200
    assert len(log.events()) == 1


# --- aliases


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("path", "headers", "project"),
    [
        ("/v1/traces", {"authorization": "Bearer lh_acme", "x-mlflow-experiment-id": "7"}, "7"),
        ("/api/public/otel/v1/traces", basic("pk-lf-1:lh_acme"), None),
        ("/api/public/otel/v1/traces", {"authorization": "Bearer lh_acme"}, None),
        ("/v1/private/otel/v1/traces", {"authorization": "lh_acme", "projectName": "bots"}, "bots"),
        ("/i/v0/ai/otel", {"authorization": "Bearer lh_acme"}, None),
        ("/i/v0/ai/otel/v1/traces", {"authorization": "Bearer lh_acme"}, None),
    ],
)
async def test_exporters_of_other_services_are_served(
    client: httpx.AsyncClient, log: FakeLog, path: str, headers: dict[str, str], project: str | None
) -> None:
    del client.headers["x-api-key"]
    answer = await client.post(path, content=as_protobuf(traces(span(1))), headers={**PROTOBUF, **headers})
    assert (answer.status_code, answer.content) == (200, b"")
    (event,) = log.events()
    assert (event["tenant"], event.get("project")) == ("acme", project)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/v1/traces", basic("pk:lh_acme")),
        ("/v1/traces", {"authorization": "lh_acme"}),
        ("/i/v0/ai/otel", basic("pk:lh_acme")),
        ("/api/public/otel/v1/traces", {"authorization": "Basic %%%"}),
        ("/api/public/otel/v1/traces", {"authorization": "lh_acme"}),
        ("/v1/private/otel/v1/traces", basic("pk:lh_acme")),
    ],
)
async def test_other_ways_to_write_a_key_are_for_their_doors_alone(
    client: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> None:
    del client.headers["x-api-key"]
    answer = await client.post(path, content=b"", headers={**PROTOBUF, **headers})
    assert answer.status_code == 401
    assert read_status(answer).code == 16


async def test_a_mistake_of_the_hub_is_a_status_too_and_tells_nothing(
    client: httpx.AsyncClient, log: FakeLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.fail_with.append(RuntimeError("inner secret"))  # type: ignore[arg-type]
    answer = await client.post("/v1/traces", content=as_protobuf(traces(span(1))), headers=PROTOBUF)
    told = read_status(answer)
    assert (answer.status_code, told.code) == (500, 13)
    assert "inner" not in told.message
    assert told.message.rsplit(" ", 1)[-1] in caplog.text
