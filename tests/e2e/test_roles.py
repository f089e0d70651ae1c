"""The hub as processes of its own roles, on a real Kafka and PostgreSQL and the front over the engine."""

import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.common import Hub
from tests.hub.running import PATIENCE, an_event
from tests.servers.clickhouse import ClickHouseFront
from tests.servers.kafka import Kafka
from tests.servers.postgres import database_url

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PARTITIONS = 4


class Platform:
    """Started roles that share everything but their folders; each under a name of its own."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self._folder, self._settings = folder, settings
        self.hubs: dict[str, Hub] = {}

    def start(self, name: str, role: str, **more: str) -> Hub:
        """Start a role and wait until it is ready."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        hub = self.hubs[name] = Hub(folder, self._settings | more, role)
        hub.start(timeout=PATIENCE)
        return hub

    def client(self, name: str) -> httpx.Client:
        """A client of a role, with the first key."""
        headers = {"Authorization": f"Bearer {self.hubs['api'].key}"}
        return httpx.Client(base_url=self.hubs[name].url, headers=headers, timeout=PATIENCE)

    def partitions(self, name: str) -> set[str]:
        """The partitions of the events that a worker has."""
        lines = self.hubs[name].metrics().splitlines()
        return {line.split('"')[1] for line in lines if line.startswith("llm_hub_streams_lag_records{")}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, kafka: str, postgres: str) -> Iterator[Platform]:
    assert kafka, "there is one, so there can be another: the topics of a hub have fixed names"
    folder = tmp_path_factory.mktemp("roles")
    with ExitStack() as stack:
        broker, front = Kafka(folder / "kafka"), ClickHouseFront(folder / "clickhouse")
        for server in (broker, front):
            server.start()
            stack.callback(server.kill)
        settings = {
            "LLM_HUB_BROKER_URL": f"kafka://{broker.servers}",
            "LLM_HUB_DATABASE_URL": database_url(postgres, "roles"),
            "LLM_HUB_WAREHOUSE_URL": front.url(),
            "LLM_HUB_DATA_KEY": "5e" * 32,
            "LLM_HUB_PARTITIONS": str(PARTITIONS),
        }
        platform = Platform(folder, settings)
        try:
            platform.start("api", "api")
            platform.start("ingest", "ingest")
            platform.start("one", "streams")
            yield platform
        finally:
            for hub in platform.hubs.values():
                hub.kill()


def eventually(condition: Callable[[], Any]) -> Any:
    """What a condition gives once it is true."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
    return found


def test_what_one_process_takes_in_another_answers(platform: Platform) -> None:
    with platform.client("ingest") as door, platform.client("api") as api:
        assert door.post("/v1/query", json={}).status_code == 404
        sent = [an_event(trace_id=f"{number:032x}") for number in range(1, 101)]
        assert door.post("/v1/events", json=sent).json()["accepted"] == 100
        question = {"measures": ["requests", "cost_usd"], "time": {"from": "now-1h", "to": "now+1h"}}
        answer = eventually(lambda: _of(api, question, 100))
        assert answer["rows"][0][1] > 0  # priced by the streams
        assert api.get("/v1/prices", params={"model": "gpt-4o"}).status_code == 200
        # up to when everything is visible, as the log tells it
        began = answer["meta"]["watermark"]
        assert eventually(lambda: _of(api, question, 100)["meta"]["watermark"] > began)


def _of(api: httpx.Client, question: dict[str, Any], requests: int) -> Any:
    answer = api.post("/v1/query", json=question).json()
    return answer if answer["rows"] and answer["rows"][0][0] == requests else None


def test_pages_of_one_process_show_what_happens_in_another(platform: Platform) -> None:
    points: list[dict[str, Any]] = []
    hub = platform.hubs["api"]
    request = urllib.request.Request(hub.url + "/v1/live", headers={"Authorization": f"Bearer {hub.key}"})

    def watch() -> None:
        with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
            kind = b""
            for line in stream:
                kind = line.strip() if line.startswith(b"event:") else kind
                if line.startswith(b"data:") and kind == b"event: second":
                    points.append(json.loads(line[5:]))
                    return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    with platform.client("ingest") as door:

        def told() -> bool:
            door.post("/v1/events", json=[an_event()])
            return bool(points)

        eventually(told)
    watching.join(PATIENCE)
    assert points[0]["requests"] >= 1


def test_partitions_are_shared_and_taken_over(platform: Platform) -> None:
    everything = {str(number) for number in range(PARTITIONS)}
    assert eventually(lambda: platform.partitions("one") == everything)
    platform.start("two", "streams")
    halves = eventually(lambda: len(platform.partitions("two")) == PARTITIONS // 2 and platform.partitions("two"))
    assert eventually(lambda: platform.partitions("one") == everything - halves)
    assert platform.hubs["one"].stop(PATIENCE) == 0  # drains
    assert eventually(lambda: platform.partitions("two") == everything)
    platform.start("three", "streams")
    eventually(lambda: len(platform.partitions("three")) == PARTITIONS // 2)
    platform.hubs["two"].kill()
    assert eventually(lambda: platform.partitions("three") == everything)


def test_a_door_that_is_told_to_stop_drains_first(platform: Platform) -> None:
    leaving = platform.start("leaving", "ingest", LLM_HUB_DRAIN_S="3")
    assert leaving.process is not None
    with platform.client("leaving") as door:
        leaving.process.terminate()
        eventually(lambda: door.get("/health/ready").status_code == 503)
        assert door.get("/health/live").status_code == 200
        assert door.post("/v1/events", json=[an_event()]).status_code == 202
    assert leaving.process.wait(PATIENCE) == 0
