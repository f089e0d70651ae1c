"""A topic of a module's own: JSON records of one event each, from a real Kafka into the answers.

The topic is filled first; then a hub is started that bridges it, and the clock runs from the first events that a
question sees to the last. The broker is on the same cores, and the hub does everything with the events that it does
with those of a door. ``--url`` names a Kafka that is there; else one is started, which needs Java and Maven.
``plain`` records are events as JSON, ``binary`` and ``structured`` ones CloudEvents.
"""

import asyncio
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer  # type: ignore[import-untyped]

from benchmarks.common import Hub, cpu_seconds, machine, options, report
from benchmarks.load import event
from tests.servers.kafka import Kafka

Record = tuple[bytes, list[tuple[str, bytes]]]
PARTITIONS = 4


def plain(made: dict[str, Any]) -> Record:
    """An event as it is."""
    return orjson.dumps(made), []


def binary(made: dict[str, Any]) -> Record:
    """A CloudEvent whose attributes are headers."""
    attributes = {"specversion": "1.0", "id": made["id"], "source": made["source"], "type": made["type"]}
    headers = [(f"ce_{name}", value.encode()) for name, value in (attributes | {"time": made["time"]}).items()]
    return orjson.dumps(made["data"]), [("content-type", b"application/json"), *headers]


def structured(made: dict[str, Any]) -> Record:
    """A CloudEvent in one piece."""
    attributes = {"specversion": "1.0", "datacontenttype": "application/json"}
    named = {name: made[name] for name in ("id", "source", "type", "time", "data")}
    return orjson.dumps(attributes | named), [("content-type", b"application/cloudevents+json")]


FORMS = {"plain": plain, "binary": binary, "structured": structured}


@contextmanager
def broker(url: str) -> Iterator[tuple[str, int | None]]:
    """Servers and, where it was started here, the process id of a Kafka."""
    if url:
        yield url.removeprefix("kafka://"), None
        return
    with tempfile.TemporaryDirectory(prefix="llm-hub-bench-") as folder:
        kafka = Kafka(Path(folder), heap_mb=512)
        kafka.start()
        try:
            yield kafka.servers, kafka.pid
        finally:
            kafka.kill()


async def fill(servers: str, topic: str, form: str, records: int) -> None:
    """Write so many events, one a record, by turns into the partitions."""
    dice, now = random.Random(1), datetime.now(UTC)
    some = [event(dice, number, now) for number in range(2000)]
    async with AIOKafkaProducer(bootstrap_servers=servers, max_batch_size=512 << 10, linger_ms=5) as producer:
        partitions = sorted(await producer.partitions_for(topic))
        waiting: list[Any] = []
        for number in range(records):
            value, headers = FORMS[form](some[number % 2000] | {"id": str(uuid.UUID(int=(1 << 120) + number))})
            place = partitions[number // 500 % len(partitions)]
            waiting.append(await producer.send(topic, value, partition=place, headers=headers))
            if len(waiting) == 20_000:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)


def bridged(servers: str, pid: int | None, form: str, records: int) -> dict[str, float]:
    """Events a second from the first that is seen to the last, and what they cost."""
    topic = f"bench.bridge.{uuid.uuid4().hex}"
    asyncio.run(fill(servers, topic, form, records))
    with tempfile.TemporaryDirectory(prefix="llm-hub-bench-") as folder:
        settings = {"LLM_HUB_BRIDGE_URL": f"kafka://{servers}", "LLM_HUB_BRIDGE_TOPICS": topic}
        hub = Hub(Path(folder) / "data", settings)
        hub.start(timeout=150)
        try:
            began, kafka = time.monotonic(), 0.0 if pid is None else cpu_seconds(pid)
            first, since = hub.visible(), began
            cpu = hub.cpu_seconds()
            while (now := hub.visible()) < records:
                if not first:
                    first, since, cpu = now, time.monotonic(), hub.cpu_seconds()
                if time.monotonic() - began > 300:
                    raise RuntimeError(f"{now} of {records} events are there after 300 s")
                time.sleep(0.3)
            elapsed = time.monotonic() - since
            figures = {
                "records_per_s": round((records - first) / elapsed),
                "cpu_us_hub": round((hub.cpu_seconds() - cpu) / (records - first) * 1e6, 2),
            }
            if pid is not None:
                figures["cpu_us_kafka"] = round((cpu_seconds(pid) - kafka) / records * 1e6, 2)
            return figures
        finally:
            hub.kill()


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--records", type=int, default=1_000_000, help="events of each form")
    parser.add_argument("--url", default="", help="kafka://host:port of a Kafka that is there")
    parser.add_argument("--only", choices=tuple(FORMS))
    args = parser.parse_args()
    records, before, figures = 20_000 if args.quick else args.records, machine(), dict[str, Any]()
    with broker(args.url) as (servers, pid):
        for form in FORMS:
            if args.only in (None, form):
                figures |= {f"{form}_{key}": value for key, value in bridged(servers, pid, form, records).items()}
    report("bridge", before, figures, {}, args.out)


if __name__ == "__main__":
    main()
