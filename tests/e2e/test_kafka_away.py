"""A hub on a real Kafka that goes and comes back: the doors say so soon, and nothing needs to be started anew."""

import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.common import Hub
from tests.servers.kafka import Kafka

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def until(done: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + 90
    while not done():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_the_broker_is_killed_and_started_under_a_running_hub(kafka: str, tmp_path: Path) -> None:
    broker = Kafka(tmp_path / "kafka")
    broker.start()
    now_ms = int(time.time() * 1000)
    hub = Hub(tmp_path / "data", {"LLM_HUB_BROKER_URL": f"kafka://{broker.servers}"})
    try:
        hub.start(timeout=150)
        pid = hub.process.pid if hub.process else 0
        with httpx.Client(base_url=hub.url, headers={"Authorization": f"Bearer {hub.key}"}, timeout=30) as client:

            def send(key: str) -> httpx.Response:
                event = {"type": "llm.request", "source": "test", "time": now_ms}
                data = {"model": "gpt-4o", "input_tokens": 1}
                return client.post("/v1/events", json={**event, "data": data}, headers={"Idempotency-Key": key})

            def state() -> dict[str, Any]:
                return dict(client.get("/health/ready").json()["checks"]["log"])

            assert send("before").status_code == 202
            until(lambda: hub.visible() == 1, "the first event")
            broker.kill()
            keys = [uuid.uuid4().hex for _ in range(20)]
            began = time.monotonic()
            first = send(keys[0])
            assert (first.status_code, "Retry-After" in first.headers) == (503, True), first.text
            assert time.monotonic() - began < 25  # the client's own 30 s have not passed
            began = time.monotonic()
            for key in keys[1:]:
                refused = send(key)
                assert (refused.status_code, "Retry-After" in refused.headers) == (503, True), refused.text
            assert time.monotonic() - began < 25  # none of them waited for the brokers: 5 s each
            assert state()["state"] == "disconnected"
            assert hub.visible() == 1  # questions are answered meanwhile
            broker.start()
            for key in keys:
                until(lambda key=key: send(key).status_code == 202, "events are taken again")  # type: ignore[misc]
            until(lambda: hub.visible() >= 1 + len(keys), "what was sent is there")
            assert send("after").status_code == 202
            until(lambda: hub.visible() >= 2 + len(keys), "the last event")
            assert hub.visible() == 2 + len(keys)
            assert state()["state"] == "running"
        assert hub.process is not None
        assert hub.process.pid == pid
    finally:
        hub.kill()
        broker.kill()
