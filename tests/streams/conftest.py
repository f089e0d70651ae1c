"""A log, and streams over it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.factory import open_log
from broker.log import Log, NewRecord
from broker.topics import EVENTS, hub_topics
from core.clock import SystemClock
from core.metrics import Metrics
from streams.runner import Streams, StreamsConfig
from streams.sink import Writer
from tests.streams.blocks import make_record, make_table

WAIT = 30.0


class Lab:
    """An embedded log in a folder of its own, and streams on it, as often as wanted."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.folder, self.log = folder, log
        self.url = f"sqlite:///{folder}/log.db"
        self.metrics = Metrics()

    async def append(self, *batches: list[dict[str, Any]], partition: int = 0, topic: str = EVENTS) -> None:
        """One record for each batch of events."""
        await self.append_raw(*(make_record(make_table(rows)) for rows in batches), partition=partition, topic=topic)

    async def append_raw(self, *values: bytes | None, partition: int = 0, topic: str = EVENTS) -> None:
        """Records of any bytes."""
        await self.log.append([NewRecord(topic, partition, None, value) for value in values])

    async def read(self, topic: str, partition: int = 0) -> list[bytes]:
        """Everything in a topic."""
        return [record.value or b"" for record in await self.log.read(topic, partition, 0, max_records=10_000)]

    async def until_read(self, topic: str) -> None:
        """Wait until something is in a topic."""
        async with asyncio.timeout(WAIT):
            while not await self.read(topic):  # noqa: ASYNC110 - the log is in somebody else's hands
                await asyncio.sleep(0.01)

    @asynccontextmanager
    async def streams(self, writer: Writer, **more: Any) -> AsyncIterator[Streams]:
        """Running streams."""
        names = StreamsConfig.__dataclass_fields__
        config = {name: more.pop(name) for name in list(more) if name in names}
        settings = {"linger_s": 0.02, "retry_s": 0.01, "retry_max_s": 0.05, "watch_s": 0.02, **config}
        streams = Streams(
            StreamsConfig(self.url, data_dir=self.folder, **settings),
            self.log,
            writer,
            SystemClock(),
            self.metrics,
            **{"seal": lambda letter: letter, **more},
        )
        await streams.start()
        try:
            yield streams
        finally:
            await streams.stop()


async def until(condition: Callable[[], Any]) -> None:
    """Wait for something that other tasks bring about."""
    async with asyncio.timeout(WAIT):
        while not condition():  # noqa: ASYNC110 - the condition is in somebody else's hands
            await asyncio.sleep(0.01)


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """A started log with the hub's topics of one partition."""
    log = open_log(f"sqlite:///{tmp_path}/log.db", clock=SystemClock())
    await log.start()
    for topic in hub_topics(1, mirrors=["eu"]):
        await log.create_topic(topic)
    yield Lab(tmp_path, log)
    await log.stop()
