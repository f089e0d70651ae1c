"""Hubs that can be broken: both ways to run behind one face."""

import json
import secrets
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest

from benchmarks.common import Hub
from tests.servers.clickhouse import ClickHouseFront
from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres
from tests.servers.process import Unavailable, free_ports

#: Seconds for anything that must happen; many processes start at once on two cores that others use too.
PATIENCE = 300.0


@dataclass
class Process(Hub):
    """A process of a hub on an address that it keeps."""

    port: str = field(default_factory=lambda: str(free_ports()))
    wanted: bool = False
    ended_by_itself: int = 0

    def start(self, timeout: float = PATIENCE, port: str = "") -> None:
        super().start(timeout, port or self.port)

    def spawn(self, port: str = "") -> None:
        super().spawn(port or self.port)
        self.wanted = True

    def stop(self, timeout: float = PATIENCE) -> int:
        self.wanted = False
        return super().stop(timeout)

    def kill(self) -> None:
        self.wanted = False
        super().kill()

    def supervise(self) -> None:
        """Start it anew when it has ended by itself, as Kubernetes and systemd do."""
        if self.wanted and self.process is not None and self.process.poll() is not None:
            self.ended_by_itself += 1
            self.spawn()

    @property
    def address(self) -> str:
        """Its URL, whether it runs or not."""
        return f"http://127.0.0.1:{self.port}"

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.address + "/health/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def told(self, name: str) -> dict[str, float]:
        """The metrics whose names begin so, with their labels; none while it does not answer."""
        try:
            lines = self.metrics().splitlines()
        except OSError:
            return {}
        found = (line.rsplit(" ", 1) for line in lines if line.startswith(name))
        return {full: float(value) for full, value in found}


class AnyHub(Protocol):
    """What scenarios need of a hub, whatever it is made of."""

    key: str

    @property
    def urls(self) -> list[str]:
        """Its doors."""
        ...

    @property
    def asked(self) -> Process:
        """The process that answers questions."""
        ...

    @property
    def warehouse_url(self) -> str:
        """Where the warehouse can be read when nobody holds it."""
        ...

    def start(self) -> None: ...

    def kill(self) -> None: ...

    def stop(self) -> None: ...


@dataclass
class Embedded:
    """`llm-hub up`."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    key: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.asked = Process(self.folder, self.settings)

    @property
    def urls(self) -> list[str]:
        return [self.asked.address]

    @property
    def warehouse_url(self) -> str:
        return self.settings.get("LLM_HUB_WAREHOUSE_URL") or f"chdb:////{str(self.folder / 'warehouse').lstrip('/')}"

    def start(self) -> None:
        self.asked.start()
        self.key = self.asked.key

    def kill(self) -> None:
        self.asked.kill()

    def stop(self) -> None:
        assert self.asked.stop(PATIENCE) == 0, f"see {self.asked.log}"


@contextmanager
def embedded(folder: Path, **settings: str) -> Iterator[Embedded]:
    """A running embedded hub that is gone afterwards."""
    hub = Embedded(folder / "data", settings)
    with ExitStack() as stack:
        stack.callback(hub.kill)
        hub.start()
        yield hub


class Scaled:
    """Processes of one role each, on a broker, a PostgreSQL and a ClickHouse front of their own.

    Parameters
    ----------
    folder
        Of everything.
    ingest, streams
        How many of each; one more process answers questions.
    partitions
        Of ``hub.events``.
    settings
        Of every process.
    """

    def __init__(self, folder: Path, ingest: int = 2, streams: int = 3, partitions: int = 6, **settings: str) -> None:
        self.folder = folder
        self.kafka = Kafka(folder / "kafka")
        self.postgres = Postgres(folder / "postgres")
        self.clickhouse = ClickHouseFront(folder / "clickhouse")
        self.settings = {
            "LLM_HUB_BROKER_URL": f"kafka://{self.kafka.servers}",
            "LLM_HUB_WAREHOUSE_URL": self.clickhouse.url("hub"),
            "LLM_HUB_PARTITIONS": str(partitions),
            "LLM_HUB_DATA_KEY": secrets.token_hex(32),
            **settings,
        }
        self.asked = self._process("api", 0)
        self.ingest = [self._process("ingest", number) for number in range(ingest)]
        self.streams = [self._process("streams", number) for number in range(streams)]
        self.key = ""

    def _process(self, role: str, number: int) -> Process:
        folder = self.folder / f"{role}-{number}"
        folder.mkdir(parents=True)
        return Process(folder, self.settings, role)

    @property
    def processes(self) -> list[Process]:
        """All of its own; the servers are not."""
        return [self.asked, *self.ingest, *self.streams]

    @property
    def urls(self) -> list[str]:
        return [one.address for one in self.ingest]

    @property
    def warehouse_url(self) -> str:
        return self.settings["LLM_HUB_WAREHOUSE_URL"]

    def start(self) -> None:
        for server in (self.kafka, self.postgres, self.clickhouse):
            server.start()
        self.settings["LLM_HUB_DATABASE_URL"] = self.postgres.url("hub")
        self.asked.start()  # it makes the first key
        self.key = self.asked.key
        self.start_all(self.processes[1:])

    def start_all(self, processes: Sequence[Process]) -> None:
        """Several at once."""
        for one in processes:
            one.spawn()
        for one in processes:
            one.wait(PATIENCE)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Meanwhile processes that end by themselves are started anew."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                for one in self.processes:
                    one.supervise()

        thread = threading.Thread(target=watch, name="supervisor")
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def taken_up(self) -> set[str]:
        """The partitions that workers have and have looked at, by their metrics."""
        return {name for worker in self.streams for name in worker.told("llm_hub_streams_lag_records{")}

    def stop(self) -> None:
        """The hub's own processes, in order; the servers go on."""
        for one in reversed(self.processes):
            assert one.stop(PATIENCE) == 0, f"see {one.log}"

    def kill(self) -> None:
        for one in self.processes:
            one.kill()
        for server in (self.clickhouse, self.postgres, self.kafka):
            server.kill()


@contextmanager
def scaled(folder: Path, **options: Any) -> Iterator[Scaled]:
    """A running hub of many processes that is gone afterwards; skips where its servers cannot be had."""
    hub = Scaled(folder, **options)
    try:
        hub.start()
        yield hub
    except Unavailable as missing:
        pytest.skip(str(missing))
    finally:
        hub.kill()


def call(hub: AnyHub, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
    """A request to the process that answers questions."""
    request = urllib.request.Request(
        hub.asked.address + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key or hub.key}", "Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def tenant_keys(hub: AnyHub, tenants: Sequence[str]) -> dict[str, str]:
    """A key for each of these tenants, which are made where they are missing."""
    there = {one["id"] for one in call(hub, "GET", "/v1/tenants")["tenants"]}
    keys = {}
    for tenant in tenants:
        if tenant not in there:
            call(hub, "POST", "/v1/tenants", {"id": tenant, "name": tenant})
        keys[tenant] = call(
            hub, "POST", "/v1/keys", {"tenant": tenant, "role": "developer", "scopes": ["ingest", "query"]}
        )["key"]
    return keys


def until(condition: Any, seconds: float = PATIENCE, every: float = 0.05) -> float:
    """Wait for a condition; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s: {condition}"
        time.sleep(every)
    return time.monotonic() - began
