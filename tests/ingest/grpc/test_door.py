"""OTLP over gRPC: answers, errors, limits and the end of the door, with gRPC's own client and real bytes."""

import asyncio
import gzip
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from access.principal import Principal, Role, Scope
from core.errors import Conflict, Forbidden, Retryable, SettingsError, SlowDown, TooManyRequests, Unauthenticated
from core.metrics import Metrics
from ingest.grpc.door import GrpcConfig, GrpcDoor
from ingest.intake import Intake
from ingest.limits import Limits
from tests.ingest.fakes import FakeAccess, FakeLog
from tests.ingest.otlp.written import ENDED, any_value, as_protobuf, logs, metrics, span, traces

Call = Callable[..., Awaitable[bytes]]
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
LINE = {"timeUnixNano": str(ENDED), "body": any_value("x")}
POINT = {"name": "n", "gauge": {"dataPoints": [{"timeUnixNano": str(ENDED), "asInt": "1"}]}}
KEY = (("authorization", "Bearer lh_acme"),)
ONE = as_protobuf(traces(span(1)))
Code = grpc.StatusCode


class Guard(FakeAccess):
    """Knows some keys, and may be told to refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.full: Exception | None = None

    async def authenticate(self, secret: str) -> Principal:
        if not secret.startswith("lh_"):
            raise Unauthenticated("This is no key.")
        scope = Scope.QUERY if secret == "lh_reader" else Scope.INGEST
        return Principal(secret.removeprefix("lh_"), "k", Role.DEVELOPER, frozenset({scope}))

    def take_events(self, principal: Principal, count: int) -> None:
        if self.full is not None:
            raise self.full
        super().take_events(principal, count)


@pytest.fixture
def access() -> Guard:
    return Guard()


@pytest.fixture
async def door(intake: Intake, access: Guard) -> AsyncIterator[GrpcDoor]:
    door = GrpcDoor(GrpcConfig(port=0, required=True), intake, access)  # type: ignore[arg-type]
    await door.start()
    yield door
    await door.stop()


@pytest.fixture
async def call(door: GrpcDoor) -> AsyncIterator[Call]:
    compressions = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
    async with grpc.aio.insecure_channel(door.check().detail) as channel:

        async def call(
            body: bytes, path: str = TRACES, key: Any = KEY, encoding: str = "", timeout: float = 60
        ) -> bytes:
            method = channel.unary_unary(path)
            compression = compressions.get(encoding)
            return bytes(await method(body, metadata=key, compression=compression, timeout=timeout))

        yield call


async def refused(calling: Awaitable[bytes]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await calling
    return told.value


def retry_after(error: grpc.aio.AioRpcError) -> float | None:
    """As Go's exporters and the Collector read it, and as Python's does: both must say the same."""
    trailing = dict(error.trailing_metadata() or ())
    status = Status.FromString(trailing["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    pythons = trailing.get("google.rpc.retryinfo-bin")
    if not status.details:
        assert pythons is None
        return None
    info = RetryInfo()
    assert status.details[0].Unpack(info)
    assert RetryInfo.FromString(pythons) == info
    return info.retry_delay.seconds + info.retry_delay.nanos / 1e9


@pytest.mark.parametrize(
    ("path", "good", "bad", "message"),
    [
        (TRACES, traces(span(1)), traces(span(2), span(3, traceId="ab")), ExportTraceServiceResponse),
        (LOGS, logs(LINE), logs(LINE, {**LINE, "traceId": "ab"}), ExportLogsServiceResponse),
        (
            METRICS,
            metrics(POINT),
            metrics(POINT, {"name": "m", "gauge": {"dataPoints": [{}]}}),
            ExportMetricsServiceResponse,
        ),
    ],
    ids=["traces", "logs", "metrics"],
)
async def test_answers(
    call: Call, log: FakeLog, path: str, good: dict[str, Any], bad: dict[str, Any], message: Any
) -> None:
    assert not message.FromString(await call(as_protobuf(good), path)).HasField("partial_success")
    told = message.FromString(await call(as_protobuf(bad), path)).partial_success
    assert next(value for _, value in told.ListFields()) == 1
    assert told.error_message.startswith("rejected 1 of 2")
    assert {event["tenant"] for event in log.events()} == {"acme"}
    assert log.dead_letters()


async def test_keys_and_tenants(call: Call, log: FakeLog) -> None:
    keys = (KEY, (("x-api-key", "lh_globex"),), (("authorization", "bearer lh_x"),))
    for number, key in enumerate(keys, 1):
        await call(as_protobuf(traces(span(number))), key=key)
    assert [event["tenant"] for event in log.events()] == ["acme", "globex", "x"]


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ((), Code.UNAUTHENTICATED),
        ((("authorization", "Bearer other"),), Code.UNAUTHENTICATED),
        ((("authorization", "Basic bGhfYWNtZQ=="),), Code.UNAUTHENTICATED),
        ((("authorization", "lh_acme"),), Code.UNAUTHENTICATED),
        ((("authorization", "Bearer lh_acme"), ("x-api-key", "lh_globex")), Code.UNAUTHENTICATED),
        ((("authorization-bin", b"Bearer lh_acme"),), Code.UNAUTHENTICATED),
        ((("x-api-key", "lh_reader"),), Code.PERMISSION_DENIED),
    ],
)
async def test_who_may_not_send(call: Call, log: FakeLog, key: Any, code: grpc.StatusCode) -> None:
    error = await refused(call(ONE, key=key))
    assert error.code() is code
    assert retry_after(error) is None
    assert log.records == []


async def test_a_wrong_key_is_told_before_its_message_is_read(call: Call, limits: Limits) -> None:
    assert (await refused(call(b"\n" * (limits.body_bytes + 1), key=()))).code() is Code.UNAUTHENTICATED


@pytest.mark.parametrize("encoding", ["", "gzip"])
async def test_a_body_that_comes_again_counts_once(call: Call, log: FakeLog, metrics: Metrics, encoding: str) -> None:
    bad = as_protobuf(traces(span(1), span(2, traceId="ab")))
    assert await call(bad, encoding=encoding) == await call(bad, encoding=encoding)
    assert len(log.events()) == 1
    assert metrics.ingest_duplicates.labels("otlp_traces_grpc")._value.get() == 1


@pytest.mark.parametrize(
    "body", [b"\x0a\xff", b"{}", b"\x1f\x8bxx", gzip.compress(ONE)[:-9], random.Random(7).randbytes(3000)]
)
async def test_garbage(call: Call, log: FakeLog, body: bytes) -> None:
    error = await refused(call(body))
    assert error.code() is Code.INVALID_ARGUMENT
    assert error.details()
    assert retry_after(error) is None
    assert await call(ONE) == b""
    assert len(log.events()) == 1


async def test_an_empty_request_is_a_good_one(call: Call, log: FakeLog) -> None:
    assert await call(b"") == b""
    assert log.events() == []


async def test_what_is_too_large(call: Call, limits: Limits) -> None:
    wire = await refused(call(b"\n" * (limits.body_bytes + 1)))
    assert wire.code() is Code.RESOURCE_EXHAUSTED
    assert "google.rpc.retryinfo-bin" not in dict(wire.trailing_metadata() or ())
    inside = await refused(call(b"\0" * (limits.decompressed_bytes + 1), encoding="gzip"))
    assert inside.code() is Code.INVALID_ARGUMENT
    assert str(limits.decompressed_bytes) in str(inside.details())
    assert (await refused(call(ONE, encoding="deflate"))).code() is Code.UNIMPLEMENTED


async def test_a_call_without_a_message(door: GrpcDoor) -> None:
    async with grpc.aio.insecure_channel(door.check().detail) as channel:
        streaming = channel.stream_unary(TRACES)(metadata=KEY)
        await streaming.done_writing()
        assert (await refused(streaming)).code() is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("error", "code", "seconds"),
    [
        (SlowDown("busy", retry_after=2.5), Code.UNAVAILABLE, 2.5),
        (Retryable("down"), Code.UNAVAILABLE, 1.0),
        (Conflict("being written"), Code.ABORTED, None),
        (Forbidden("f" * 5000), Code.PERMISSION_DENIED, None),
        (Forbidden("\ud800 ü\n"), Code.PERMISSION_DENIED, None),
    ],
)
async def test_trouble_and_whether_to_come_again(
    call: Call, log: FakeLog, error: Any, code: grpc.StatusCode, seconds: float | None
) -> None:
    log.fail_with.append(error)
    told = await refused(call(ONE))
    assert (told.code(), retry_after(told)) == (code, seconds)
    assert await call(ONE) == b""
    assert len(log.events()) == 1


async def test_a_keys_limit_and_a_full_disk_are_back_pressure(
    call: Call, access: Guard, door: GrpcDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    access.full = TooManyRequests("too many", retry_after=7)
    told = await refused(call(ONE))
    assert (told.code(), retry_after(told)) == (Code.UNAVAILABLE, 7)

    def full() -> None:
        raise SlowDown("the disk is nearly full", retry_after=30)

    monkeypatch.setattr(door, "_admit", full)
    told = await refused(call(ONE))
    assert (told.code(), retry_after(told)) == (Code.UNAVAILABLE, 30)


async def test_a_mistake_tells_nothing_but_where_to_look(
    call: Call, log: FakeLog, caplog: pytest.LogCaptureFixture
) -> None:
    log.fail_with.append(RuntimeError("inner secret"))  # type: ignore[arg-type]
    told = await refused(call(ONE))
    assert told.code() is Code.INTERNAL
    assert "inner" not in str(told.details())
    assert str(told.details()).rsplit(" ", 1)[-1] in caplog.text


async def test_other_methods_are_not_there(call: Call) -> None:
    for path in (TRACES.replace("Export", "Import"), "/grpc.health.v1.Health/Check"):
        assert (await refused(call(b"", path))).code() is Code.UNIMPLEMENTED


async def test_a_sender_that_gives_up_harms_nobody(call: Call, log: FakeLog, intake: Intake) -> None:
    going_on, append = asyncio.Event(), log.append

    async def slowly(*arguments: Any) -> Any:
        await going_on.wait()
        return await append(*arguments)

    log.append = slowly  # type: ignore[method-assign]
    assert (await refused(call(ONE, timeout=0.2))).code() is Code.DEADLINE_EXCEEDED
    going_on.set()
    assert await call(ONE) == b""  # the retry: the first may have been written
    await intake.publisher.stop()
    assert len(log.events()) == 1


async def test_calls_that_are_open_at_the_end_are_answered(
    door: GrpcDoor, call: Call, log: FakeLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, going_on, append = asyncio.Event(), asyncio.Event(), log.append

    async def slowly(*arguments: Any) -> Any:
        entered.set()
        await going_on.wait()
        return await append(*arguments)

    log.append = slowly  # type: ignore[method-assign]
    answering = asyncio.ensure_future(call(ONE))
    await entered.wait()
    stopping = asyncio.ensure_future(door.stop())
    await asyncio.sleep(0)
    assert door.check().state == "closed"
    going_on.set()
    assert await answering == b""
    await stopping
    await door.stop()  # again
    assert len(log.events()) == 1
    assert (await refused(call(ONE, timeout=5))).code() is Code.UNAVAILABLE


async def test_an_address_that_is_taken(intake: Intake, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        modest = GrpcDoor(GrpcConfig(port=port), intake, Guard())  # type: ignore[arg-type]
        await modest.start()
        assert modest.check().state == "closed"
        assert modest.check().ok
        assert f"127.0.0.1:{port}" in modest.check().detail
        assert "otlp_grpc_port" in caplog.text
        await modest.stop()
        with pytest.raises(SettingsError, match="otlp_grpc_port"):
            await GrpcDoor(GrpcConfig(port=port, required=True), intake, Guard()).start()  # type: ignore[arg-type]


async def test_two_hubs_do_not_share_an_address(door: GrpcDoor, intake: Intake) -> None:
    port = int(door.check().detail.rpartition(":")[2])
    with pytest.raises(SettingsError):
        await GrpcDoor(GrpcConfig(port=port, required=True), intake, Guard()).start()  # type: ignore[arg-type]


async def test_version_six(intake: Intake) -> None:
    door = GrpcDoor(GrpcConfig(host="::1", port=0), intake, Guard())  # type: ignore[arg-type]
    await door.start()
    assert door.check().detail.startswith("[::1]:")
    await door.stop()
