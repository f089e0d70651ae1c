"""The hub's own spans: one trace from a request to the fold, and none where nobody asked for one."""

import asyncio
import itertools
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from benchmarks.common import ROOT
from core.errors import SettingsError
from core.traces import NO_TRACES, TENANT, TRACE_ID
from hub import tracing, wiring
from hub.compose import Hub
from hub.settings import Settings
from hub.tracing import OtelTraces
from tests.hub.running import EVERYTHING, PATIENCE, Opened, an_event, opened, settings_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
NOT_SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-00"


class Spans:
    """What was exported, by name."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.sent_to: list[Any] = []

    def make(self, *target: Any) -> InMemorySpanExporter:
        self.sent_to.append(target)
        return self.exporter

    def found(self, hub: Hub) -> dict[str, list[ReadableSpan]]:
        assert isinstance(hub.traces, OtelTraces)
        hub.traces._provider.force_flush()
        spans: dict[str, list[ReadableSpan]] = {}
        for span in self.exporter.get_finished_spans():
            spans.setdefault(span.name, []).append(span)
        return spans

    async def until(self, hub: Hub, *names: str) -> dict[str, list[ReadableSpan]]:
        async with asyncio.timeout(PATIENCE):
            while not set(names) <= set(found := self.found(hub)):  # noqa: ASYNC110 - a thread exports
                await asyncio.sleep(0.05)
        return found


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    found = Spans()
    monkeypatch.setattr(tracing, "otlp_exporter", found.make)
    return found


def traced(folder: Path, **more: Any) -> Settings:
    given = {
        "otel_endpoint": "http://127.0.0.1:1",
        "otel_sample_ratio": 1.0,
        "otel_headers": "authorization=Bearer%20a",
    }
    return settings_of(folder, **{**given, **more})


def fold_at_once(hub: Opened) -> None:
    hub.hub.roller.config = hub.hub.roller.config.__class__(seconds=0.0)


async def test_one_trace_from_the_request_to_the_fold(tmp_path: Path, spans: Spans) -> None:
    async with opened(traced(tmp_path)) as hub:
        fold_at_once(hub)
        await hub.send(an_event(), an_event())
        found = await spans.until(hub.hub, "POST /v1/events", "process hub.events", "insert", "fold")
        assert await hub.count(2) == 2
        found = await spans.until(hub.hub, "warehouse query")
    assert spans.sent_to == [("http://127.0.0.1:1", {"authorization": "Bearer a"})]
    chain = ["POST /v1/events", "append", "process hub.events", "insert", "fold"]
    way = [found[name][0] for name in chain]
    assert len({span.context.trace_id for span in way}) == 1
    for parent, child in itertools.pairwise(way):
        assert child.parent is not None
        assert child.parent.span_id == parent.context.span_id, child.name
    door, append, block, insert, _ = way
    assert (door.kind, append.kind, block.kind) == (SpanKind.SERVER, SpanKind.PRODUCER, SpanKind.CONSUMER)
    told = dict(door.attributes or {})
    assert (told["http.route"], told["http.response.status_code"], told["llm_hub.tenant"]) == (
        "/v1/events",
        202,
        "default",
    )
    assert found["decode"][0].attributes == {"llm_hub.door": "events", "llm_hub.rows": 2}
    assert (insert.attributes or {})["llm_hub.rows"] == 2
    resource = door.resource.attributes
    assert (resource["service.name"], resource["service.version"]) == ("llm-hub", "0.1.0")
    assert {"service.instance.id", "host.name", "process.pid"} <= set(resource)
    question = found["question"][-1]
    assert question.parent is not None
    assert question.parent.span_id in {span.context.span_id for span in found["POST /v1/query"]}
    assert {"llm_hub.source", "llm_hub.rows_read"} <= set(question.attributes or {})


async def test_bodies_that_go_together_are_linked(tmp_path: Path, spans: Spans) -> None:
    async with opened(traced(tmp_path, gather_ms=50)) as hub:
        await hub.send(an_event())  # the next ones wait for each other
        await asyncio.gather(*(hub.send(an_event()) for _ in range(4)))
        await hub.count(5)
        found = await spans.until(hub.hub, "append", "process hub.events")
    doors = {span.context.span_id for span in found["POST /v1/events"]}
    together = max(found["append"], key=lambda span: len(span.links))
    assert together.links
    assert {link.context.span_id for link in together.links} < doors
    assert together.parent is not None
    assert together.parent.span_id in doors


async def test_the_sender_decides_whether_its_request_is_traced(tmp_path: Path, spans: Spans) -> None:
    async with opened(traced(tmp_path, otel_sample_ratio=0.0)) as hub:
        await hub.send(an_event(), traceparent=NOT_SAMPLED)
        await hub.send(an_event())
        await hub.count(2)
        assert spans.found(hub.hub) == {}
        await hub.send(an_event(), traceparent=SAMPLED)
        found = await spans.until(hub.hub, "insert", "POST /v1/events")
    assert {f"{span.context.trace_id:032x}" for some in found.values() for span in some} == {TRACE}


async def test_what_hubs_send_of_themselves_is_not_traced(tmp_path: Path, spans: Spans) -> None:
    async with opened(traced(tmp_path)) as hub:
        fold_at_once(hub)
        own = {"llm-hub-own-traces": "1", "traceparent": SAMPLED}
        await hub.send(an_event(), **own)
        async with asyncio.timeout(PATIENCE):
            while await seen(hub, own) != 1:  # noqa: ASYNC110 - the streams are in another's hands
                await asyncio.sleep(0.05)
            while hub.hub.roller.rows_behind():  # noqa: ASYNC110 - a thread folds
                await asyncio.sleep(0.05)
        assert spans.found(hub.hub) == {}


async def seen(hub: Opened, headers: dict[str, str]) -> int:
    """How many events a question with these headers sees."""
    rows = (await hub.client.post("/v1/query", json=EVERYTHING, headers=headers)).json()["rows"]
    return int(rows[0][0]) if rows else 0


async def test_failures_are_told_by_their_class_alone(tmp_path: Path, spans: Spans) -> None:
    async with opened(traced(tmp_path)) as hub:
        unclosed = {**EVERYTHING, "filters": [{"field": "model", "op": "regex", "values": ["(geheim"]}]}
        assert (await hub.client.post("/v1/query", json=unclosed)).status_code == 422
        found = await spans.until(hub.hub, "question", "POST /v1/query")
    (question,) = found["question"]
    assert (question.status.status_code, question.status.description) == (StatusCode.ERROR, "Unprocessable")
    assert not question.events
    assert "geheim" not in "".join(span.to_json() for some in found.values() for span in some)


def test_work_that_nothing_traced_has_caused_is_not_traced() -> None:
    exporter = InMemorySpanExporter()
    traces = OtelTraces("streams", 1.0, exporter)
    with traces.span("alone"), traces.span("inside", caused_by=()):
        traces.leave("work")
    assert traces.causes("work") == ()
    with traces.request("r", "") as span:
        span.fail("no reason")
        with traces.span("untraced cause", caused_by=[NOT_SAMPLED]), traces.span("within it"):
            assert traces.traceparent() == ""
        traces.leave("work")
        assert TRACE_ID.get() == traces.traceparent().split("-")[1]
    assert TRACE_ID.get() == ""
    (cause,) = traces.causes("work")
    with traces.span("later", caused_by=[cause, SAMPLED, "nonsense"]):
        pass
    traces.stop()
    names = [span.name for span in exporter.get_finished_spans()]
    assert names == ["r", "later"]
    assert exporter.get_finished_spans()[0].resource.attributes["service.name"] == "llm-hub-streams"
    assert len(exporter.get_finished_spans()[1].links) == 1  # what is nonsense is left out


def test_off_costs_no_import() -> None:
    code = (
        "import sys, asyncio, tempfile, pathlib\n"
        "from hub.compose import Hub\nfrom hub.settings import load\n"
        "async def main():\n"
        "    hub = Hub(load({'data_dir': pathlib.Path(tempfile.mkdtemp()), 'otlp_grpc': 'off'}, environ={}))\n"
        "    await hub.start(); await hub.stop()\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"
    assert not NO_TRACES.on
    assert NO_TRACES.traceparent() == ""
    with NO_TRACES.span("a") as span:
        span.set("a", 1)
        span.rename("b")
        span.fail("c")


def test_the_extra_is_asked_for_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wiring.own_traces(settings_of(tmp_path), "all") is None
    monkeypatch.delitem(sys.modules, "hub.tracing")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError, match=r"llm-analytics-hub\[otel\]"):
        wiring.own_traces(traced(tmp_path), "all")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("otel_endpoint", "collector:4318", "http://host:port"),
        ("otel_headers", "geheim", "name=value"),
        ("otel_sample_ratio", 1.5, "less than or equal"),
    ],
)
def test_wrong_settings_are_named_and_no_secret_is(tmp_path: Path, name: str, value: Any, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as told:
        settings_of(tmp_path, **{name: value})
    assert name in str(told.value)
    assert "geheim" not in str(told.value)
    assert "Bearer" not in repr(traced(tmp_path))


async def test_the_log_tells_trace_and_tenant_of_a_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[tuple[str, str]] = []

    class Look(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append((TRACE_ID.get(), TENANT.get()))

    look = Look(logging.WARNING)
    logging.getLogger("llm_hub.web").addHandler(look)
    try:
        async with opened(settings_of(tmp_path)) as hub:

            def full() -> None:
                raise ZeroDivisionError

            hub.app.state.admit = full
            answer = await hub.client.post("/v1/events", json=an_event(), headers={"traceparent": NOT_SAMPLED})
            assert answer.status_code == 500
    finally:
        logging.getLogger("llm_hub.web").removeHandler(look)
    assert seen[0] == (TRACE, "default")
    assert (TRACE_ID.get(), TENANT.get()) == ("", "")
