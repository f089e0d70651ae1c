"""The same events on a real Kafka: one process on it, or roles of their own; and a backlog that is worked off.

Everything runs on this machine: the broker, the roles, the load. ``up`` is ``llm-hub up`` on Kafka with the embedded
engine; ``roles`` are ingest, streams and api with PostgreSQL and, for want of a ClickHouse server, an HTTP front over
the engine in a process of its own; ``backlog`` fills ``hub.events`` while no streams run and then starts one worker.
The clock of the first two stops when a question sees every event, that of the backlog when all of it is stored.
Needs Java, Maven and PostgreSQL.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import Hub, cpu_seconds, machine, options, percentile, report
from benchmarks.ingest import settle
from benchmarks.load import ArrowBody, NdjsonBody, drive
from tests.servers.clickhouse import ClickHouseFront
from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres


@contextmanager
def kafka(folder: Path) -> Iterator[Kafka]:
    """A broker that ends with the block."""
    broker = Kafka(folder / "kafka", heap_mb=512)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@contextmanager
def running(*hubs: Hub) -> Iterator[None]:
    """These processes, started one after the other, until the end of the block."""
    try:
        for hub in hubs:
            hub.folder.mkdir(parents=True, exist_ok=True)
            hub.start()
        yield
    finally:
        for hub in reversed(hubs):
            hub.kill()


class Cpu:
    """CPU of some processes from now on, in microseconds an event."""

    def __init__(self, **pids: int) -> None:
        self._pids, self._before = pids, {name: cpu_seconds(pid) for name, pid in pids.items()}

    def each(self, events: int) -> dict[str, float]:
        """By process, and together."""
        used = {name: (cpu_seconds(pid) - self._before[name]) / events * 1e6 for name, pid in self._pids.items()}
        return {f"cpu_us_{name}": round(value, 2) for name, value in (used | {"all": sum(used.values())}).items()}


def pid(hub: Hub) -> int:
    """Its process id."""
    assert hub.process is not None
    return hub.process.pid


async def load(door: Hub, asked: Hub, cpu: Cpu, rows: int, seconds: float) -> dict[str, Any]:
    """NDJSON as fast as it is taken, until a question sees all of it."""
    before = await settle(asked)
    began = time.monotonic()
    sent = await drive(door.url, asked.key, partial(NdjsonBody, rows), seconds=seconds, connections=4)
    backlog = sent.events + before - asked.visible()
    if await settle(asked, sent.events + before) != sent.events + before:
        raise RuntimeError(f"sent {sent.events}, visible {asked.visible() - before}")
    return {
        "events_per_s": round(sent.events / (time.monotonic() - began)),
        "accepted_per_s": round(sent.events / sent.seconds),
        "backlog_at_end_s": round(backlog / (sent.events / sent.seconds), 2),
        "accept_p50_ms": round(percentile(sent.latencies, 0.5) * 1000, 1),
        "accept_p99_ms": round(percentile(sent.latencies, 0.99) * 1000, 1),
        "busy_answers": sent.busy,
        **cpu.each(sent.events),
    }


def on_kafka(broker: Kafka, partitions: int) -> dict[str, str]:
    """Settings of a hub on this broker."""
    key = os.urandom(32).hex()
    servers = f"kafka://{broker.servers}"
    return {"LLM_HUB_BROKER_URL": servers, "LLM_HUB_PARTITIONS": str(partitions), "LLM_HUB_DATA_KEY": key}


def up(folder: Path, partitions: int, rows: int, seconds: float) -> dict[str, Any]:
    """One process and the broker."""
    with kafka(folder) as broker:
        hub = Hub(folder / "hub", on_kafka(broker, partitions))
        with running(hub):
            figures = asyncio.run(load(hub, hub, Cpu(hub=pid(hub), kafka=broker.pid), rows, seconds))
            return {**figures, "resident_mb": round(hub.resident_mb("VmHWM"))}


def roles(folder: Path, partitions: int, rows: int, seconds: float) -> dict[str, Any]:
    """Each role a process, with PostgreSQL and the front."""
    with ExitStack() as stack:
        broker = stack.enter_context(kafka(folder))
        postgres, front = Postgres(folder / "postgres"), ClickHouseFront(folder / "clickhouse")
        for server in (postgres, front):
            server.start()
            stack.callback(server.kill)
        urls = {"LLM_HUB_DATABASE_URL": postgres.url("hub"), "LLM_HUB_WAREHOUSE_URL": front.url()}
        settings = on_kafka(broker, partitions) | urls
        api, ingest, streams = (Hub(folder / role, settings, role) for role in ("api", "ingest", "streams"))
        stack.enter_context(running(api, ingest, streams))
        pids = {hub.role: pid(hub) for hub in (api, ingest, streams)}
        figures = asyncio.run(load(ingest, api, Cpu(**pids, kafka=broker.pid, front=front.pid), rows, seconds))
        return {**figures, "streams_resident_mb": round(streams.resident_mb("VmHWM"))}


def backlog(folder: Path, partitions: int, events: int, *, alone: bool) -> dict[str, Any]:
    """So many events wait before the worker starts: a worker ``alone`` with the front, or ``llm-hub up``."""
    with ExitStack() as stack:
        broker = stack.enter_context(kafka(folder))
        settings = on_kafka(broker, partitions) | {"LLM_HUB_DATABASE_URL": f"sqlite:///{folder}/hub.db"}
        door = Hub(folder / "ingest", settings, "ingest")
        with running(door):
            sent = asyncio.run(fill(door, events))
        servers = {"kafka": broker.pid}
        if alone:
            front = ClickHouseFront(folder / "clickhouse")
            front.start()
            stack.callback(front.kill)
            settings["LLM_HUB_WAREHOUSE_URL"], servers["front"] = front.url(), front.pid
        hub = Hub(folder / "hub", settings, "streams" if alone else "all")
        with running(hub):
            began, cpu = time.monotonic(), Cpu(hub=pid(hub), **servers)
            first = stored(hub)
            while (now := stored(hub)) < sent:
                if time.monotonic() - began > 900:
                    raise RuntimeError(f"{now} of {sent} events are stored after 900 s")
                time.sleep(0.2)
            elapsed = time.monotonic() - began
            return {
                "events": sent,
                "events_per_s": round((sent - first) / elapsed),
                "resident_mb": round(hub.resident_mb("VmHWM")),
                **cpu.each(sent - first),
            }


async def fill(door: Hub, events: int) -> int:
    """Post Arrow bodies until the log has so many events."""
    sent = 0
    while sent < events:
        some = await drive(door.url, door.key, partial(ArrowBody, 5000), seconds=5, connections=4)
        sent += some.events
    return sent


def stored(hub: Hub) -> int:
    """Events that the streams have stored since they started."""
    for line in hub.metrics().splitlines():
        if line.startswith("llm_hub_streams_rows_total "):
            return int(float(line.split()[1]))
    return 0


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a run under load")
    parser.add_argument("--rows", type=int, default=5000, help="events a request")
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--events", type=int, default=10_000_000, help="events of the backlog")
    parser.add_argument("--only", choices=("up", "roles", "backlog_up", "backlog_roles"))
    args = parser.parse_args()
    seconds, events = (3.0, 200_000) if args.quick else (args.seconds, args.events)
    before, figures = machine(), dict[str, Any]()
    runs = {
        "up": partial(up, partitions=args.partitions, rows=args.rows, seconds=seconds),
        "roles": partial(roles, partitions=args.partitions, rows=args.rows, seconds=seconds),
        "backlog_up": partial(backlog, partitions=args.partitions, events=events, alone=False),
        "backlog_roles": partial(backlog, partitions=args.partitions, events=events, alone=True),
    }
    for name, run in runs.items():
        if args.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="llm-hub-bench-") as folder:
                figures |= {f"{name}_{key}": value for key, value in run(Path(folder)).items()}
    report("scaled", before, figures, {}, args.out)


if __name__ == "__main__":
    main()
