"""The SDK against a real hub: everything arrives once, as the hub wants it."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiokafka
import httpx
import pytest

import llm_hub
from benchmarks.common import Hub
from schemas.catalogue import EVENT_TYPES
from schemas.json_schema import example
from tests.sdk.test_kafka import FakeProducer

pytestmark = pytest.mark.slow
PATIENCE = 60.0


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub") / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start()
    yield hub
    hub.kill()


@pytest.fixture
def client(hub: Hub) -> Iterator[llm_hub.Client]:
    client = llm_hub.Client(hub.url, hub.key, source="gateway", project="support-bot", environment="test")
    yield client
    client.close()


def get(hub: Hub, path: str) -> Any:
    request = urllib.request.Request(hub.url + path, headers={"Authorization": f"Bearer {hub.key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def asked(hub: Hub, measures: list[str], enough: Any, **question: Any) -> list[list[Any]]:
    """The rows of a question, once ``enough`` says so."""
    until = time.monotonic() + PATIENCE
    while True:
        rows: list[list[Any]] = hub.ask({"measures": measures, "time": {"from": "now-1h", "to": "now+1m"}, **question})[
            "rows"
        ]
        if enough(rows):
            return rows
        assert time.monotonic() < until, rows


def test_records_for_kafka_are_what_the_door_takes(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiokafka, "AIOKafkaProducer", FakeProducer)
    monkeypatch.setattr(FakeProducer, "records", [])
    with llm_hub.Client("kafka://broker", source="gateway") as client:
        for kind in EVENT_TYPES:
            client.capture(kind, example(kind)["data"])
        assert client.flush(PATIENCE)
    body = b"\n".join(json.dumps(event).encode() for _, event in FakeProducer.records)
    answer = httpx.post(
        f"{hub.url}/v1/events",
        content=body,
        headers={"Authorization": f"Bearer {hub.key}", "Content-Type": "application/x-ndjson"},
        trust_env=False,
    )
    assert answer.json() == {"accepted": len(EVENT_TYPES), "rejected": 0, "duplicates": 0, "errors": []}


def test_every_event_type_is_accepted(hub: Hub, client: llm_hub.Client) -> None:
    for kind in EVENT_TYPES:
        client.capture(kind, example(kind)["data"], user_id="u-1", attributes={"region": "eu"})
    assert client.flush(PATIENCE)
    assert client.stats()["dropped"] == {}
    assert client.stats()["accepted"] == len(EVENT_TYPES)


def test_spans_are_one_trace(hub: Hub, client: llm_hub.Client) -> None:
    with client.span("answer", kind="chain", session_id="s-1", user_id="u-7") as outer:
        with client.span("docs", event_type="retrieval.query", data={"index": "docs", "top_k": 4}):
            pass
        client.capture(
            "llm.request",
            {"provider": "openai", "model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100, "duration_ms": 5.0},
        )
    assert client.flush(PATIENCE)
    rows = asked(
        hub,
        ["requests", "cost_usd"],
        lambda rows: rows and rows[0][1] == 1,
        dimensions=["user_id"],
        filters=[{"field": "user_id", "op": "in", "values": ["u-7"]}],
    )
    assert rows[0][2] == pytest.approx(1000 * 2.5e-6 + 100 * 10e-6)
    until = time.monotonic() + PATIENCE
    while len((tree := get(hub, f"/v1/traces/{outer.trace_id}"))["spans"][0]["children"]) < 2:
        assert time.monotonic() < until, tree
    (root,) = tree["spans"]
    assert (root["name"], root["type"], root["span_id"]) == ("answer", "span", outer.span_id)
    assert {child["type"] for child in root["children"]} == {"retrieval.query", "llm.request"}


def test_a_burst_arrives_once_and_drops_are_told_to_the_hub(hub: Hub) -> None:
    before = hub.visible()
    client = llm_hub.Client(
        hub.url, hub.key, source="burst", options=llm_hub.Options(queue_size=5_000, batch_size=500, interval=0.05)
    )
    with client:
        for number in range(12_000):
            client.capture("product.event", {"name": "burst", "properties": {"number": number}})
        client.capture("product.event", {"no": "name"})
        assert client.flush(PATIENCE)
        assert client.flush(PATIENCE)
        stats = client.stats()
        dropped = stats["dropped"]
        assert stats["accepted"] + sum(dropped.values()) == 12_001
        assert set(dropped) <= {"queue_full", "rejected"}

    def reports(enough: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """How many events tell of drops, by reason."""
        rows = asked(
            hub,
            ["events"],
            lambda rows: enough(dict(rows)),
            dimensions=["attributes.reason"],
            filters=[
                {"field": "source", "op": "in", "values": ["burst"]},
                {"field": "type", "op": "in", "values": ["metric.sample"]},
            ],
        )
        return dict(rows)

    assert set(reports(lambda told: set(told) >= set(dropped))) == set(dropped)
    reports(lambda told: hub.visible() - before == stats["accepted"] + sum(told.values()))


def test_a_wrong_key_is_told_and_harms_nobody(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    with llm_hub.Client(hub.url, "lh_wrong", source="x") as client:
        client.capture("product.event", {"name": "x"})
        assert client.flush(PATIENCE)
        assert client.stats()["dropped"] == {"refused": 1}
    assert "refused events: 401" in caplog.text


def test_events_survive_a_restart_of_the_hub(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start()
    try:
        with llm_hub.Client(
            hub.url, hub.key, source="x", options=llm_hub.Options(interval=0.01, backoff=0.05)
        ) as client:
            for number in range(100):
                client.capture("product.event", {"name": f"before-{number}"})
            assert client.flush(PATIENCE)
            hub.kill()
            for number in range(100):
                client.capture("product.event", {"name": f"while-{number}"})
            assert not client.flush(0.3)
            hub.start(port=hub.url.rsplit(":", 1)[1])
            assert client.flush(PATIENCE)
            assert client.stats()["accepted"] == 200
            assert client.stats()["dropped"] == {}
        until = time.monotonic() + PATIENCE
        while hub.visible() < 200 and time.monotonic() < until:
            pass
        assert hub.visible() == 200
    finally:
        hub.kill()
