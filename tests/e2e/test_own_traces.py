"""A hub that traces into itself: its work can be looked at in it, and it comes to rest."""

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.common import Hub

PATIENCE = 120.0


def test_a_hub_traces_into_itself_and_comes_to_rest(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    port = free_port()
    first = Hub(folder)
    first.start(PATIENCE, str(port))
    assert first.stop() == 0
    hub = Hub(
        folder,
        {
            "LLM_HUB_OTEL_ENDPOINT": f"http://127.0.0.1:{port}",
            "LLM_HUB_OTEL_HEADERS": f"authorization=Bearer%20{first.key}",
            "LLM_HUB_OTEL_SAMPLE_RATIO": "1",
            "LLM_HUB_LOG_FORMAT": "json",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "NO_PROXY": "127.0.0.1",
        },
    )
    hub.start(PATIENCE, str(port))
    try:
        event = {"type": "product.event", "source": "test", "time": int(time.time() * 1000), "data": {"name": "a"}}
        send(hub, event)
        trace = until(lambda: trace_of(hub, "fold"))
        names = {span["name"] for span in flat(trace["spans"])}
        assert {"POST /v1/events", "decode", "append", "process hub.events", "prepare", "insert", "fold"} <= names
        services = {span["data"].get("service_name") for span in flat(trace["spans"])} - {None}
        assert services <= {"llm-hub"}
        seen, since = spans(hub), time.monotonic()
        while time.monotonic() - since < 2:  # ten times as long as spans wait for each other
            time.sleep(0.1)
            if (now := spans(hub)) != seen:
                seen, since = now, time.monotonic()
        assert hub.process is not None
        began = time.monotonic()
        os.kill(hub.process.pid, signal.SIGTERM)
        assert hub.process.wait(60) == 0
        assert time.monotonic() - began < 30
    finally:
        hub.kill()
    lines = [line for line in hub.log.read_text().splitlines() if line.startswith("{")]
    assert all(json.loads(line)["role"] == "all" for line in lines)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ask(hub: Hub, path: str, body: Any = None) -> Any:
    """A request that says it is not to be traced, or looking would be seen."""
    headers = {"Authorization": f"Bearer {hub.key}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    if path != "/v1/events":
        headers["traceparent"] = f"00-{'1' * 32}-{'1' * 16}-00"
    with urllib.request.urlopen(urllib.request.Request(hub.url + path, data, headers), timeout=60) as answer:
        return json.load(answer)


def send(hub: Hub, event: dict[str, Any]) -> None:
    assert ask(hub, "/v1/events", event)["accepted"] == 1


def spans(hub: Hub) -> int:
    """How many spans the hub has of anybody."""
    question = {
        "measures": ["events"],
        "time": {"from": "now-1h", "to": "now+1h"},
        "filters": [{"field": "type", "op": "eq", "values": ["span"]}],
    }
    rows = ask(hub, "/v1/query", question)["rows"]
    return int(rows[0][0]) if rows else 0


def trace_of(hub: Hub, name: str) -> Any:
    """The trace of the one request, once it has a span of that name."""
    found = ask(hub, "/v1/traces?from=now-1h&to=now%2B1m")
    for item in found["traces"]:
        trace = ask(hub, f"/v1/traces/{item['trace_id']}")
        if name in {span["name"] for span in flat(trace["spans"])}:
            return trace
    return None


def flat(some: list[Any]) -> list[Any]:
    return [span for one in some for span in (one, *flat(one["children"]))]


def until(found: Callable[[], Any]) -> Any:
    """What is found in the end."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.1)
    raise AssertionError("it did not happen")
