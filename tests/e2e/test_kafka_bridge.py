"""From the SDK through a real Kafka into the hub: nothing lost, nothing twice, although the hub is killed."""

import threading
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

import llm_hub
from benchmarks.common import Hub

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

EVENTS = 6000


def counted(hub: Hub) -> list[Any]:
    question = {
        "measures": ["requests", "input_tokens", "users"],
        "time": {"from": "now-1h", "to": "now+1h"},
    }
    rows = hub.ask(question)["rows"]
    return list(rows[0])


def arrived(hub: Hub, events: int, kind: str = "llm.request") -> None:
    """Wait until so many events of a type are in the answers."""
    question = {
        "measures": ["events"],
        "filters": [{"field": "type", "op": "eq", "values": [kind]}],
        "time": {"from": "now-1h", "to": "now+1h"},
    }
    until = time.monotonic() + 60
    while hub.ask(question)["rows"][0][0] < events:
        assert time.monotonic() < until, f"{events} of {kind} did not come"
        time.sleep(0.02)


def test_what_the_sdk_writes_to_kafka_counts_once(tmp_path: Path, kafka: str) -> None:
    topic = f"test.bridge.{uuid.uuid4().hex}"
    folder = tmp_path / "data"
    hub = Hub(folder, {"LLM_HUB_BRIDGE_URL": f"kafka://{kafka}", "LLM_HUB_BRIDGE_TOPICS": topic})

    def write() -> None:
        client = llm_hub.Client(f"kafka://{kafka}/{topic}", source="gateway")
        for number in range(EVENTS):
            data = {"model": "gpt-4o", "input_tokens": number, "duration_ms": 10.0}
            client.capture("llm.request", data=data, user_id=f"u-{number % 100}")
            time.sleep(0.0005)
        client.close()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for kill in (1, 2, 3):
            hub.start()
            arrived(hub, kill * EVENTS // 5)
            hub.kill()
        writing.join()
        hub.start()
        arrived(hub, EVENTS)
        # one more in each partition: what was read again stands before it
        with llm_hub.Client(f"kafka://{kafka}/{topic}", source="gateway") as client:
            for _ in range(6):
                client.capture("llm.embedding", data={"model": "text-embedding-3-small", "input_tokens": 0})
                client.flush(timeout=10)
        arrived(hub, 6, "llm.embedding")
        assert counted(hub) == [EVENTS, EVENTS * (EVENTS - 1) // 2, 100]
    finally:
        hub.kill()
        writing.join()
