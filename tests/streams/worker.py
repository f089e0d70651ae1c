"""A hub's streams in a process of their own, killed at a named moment: ``worker.py FOLDER [MOMENT]``.

Without a moment it runs until everything is stored, prints what the warehouse has, and ends.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from broker.factory import open_log
from broker.topics import hub_topics
from core.clock import SystemClock
from core.metrics import Metrics
from storage.metadata.database import Metadata
from storage.metadata.journal import SqlBlockJournal
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import migrate
from storage.warehouse.roller import Roller, RollerConfig
from storage.warehouse.writer import Block, BlockWriter
from streams.runner import Streams, StreamsConfig

GROUP = "test-streams"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Killer:
    """Dies when the named moment comes for the second time: the first block gets through."""

    def __init__(self, moment: str) -> None:
        self.moment, self.seen = moment, 0

    def at(self, moment: str) -> None:
        if moment == self.moment:
            self.seen += 1
            if self.seen == 2:
                die()


class DyingWarehouse:
    """Dies before, in the middle of, or after an insert of events, or between the folds of two rollups."""

    def __init__(self, warehouse: Warehouse, killer: Killer) -> None:
        self.warehouse, self.killer, self.config = warehouse, killer, warehouse.config
        self.query = warehouse.query

    def command(self, sql: str, parameters: Any, *, settings: Any) -> None:
        self.killer.at("fold")
        self.warehouse.command(sql, parameters, settings=settings)

    def insert(self, table: str, rows: pa.Table, token: str = "") -> None:
        if table == "events":
            self.killer.at("insert")
        self.warehouse.insert(table, rows, token)
        self.killer.at(f"inserted {table}")


class DyingJournal(SqlBlockJournal):
    """Dies after a block was written down, or after it was noted as stored."""

    killer: Killer

    def begin(self, *arguments: Any) -> Any:
        entry = super().begin(*arguments)
        self.killer.at("begun")
        return entry

    def finish(self, block: Any, position: int | None = None) -> None:
        self.killer.at("finish")
        super().finish(block, position)
        self.killer.at("finished")


async def main(folder: Path, moment: str) -> None:
    killer = Killer(moment)
    database = f"sqlite:////{str(folder / 'hub.db').lstrip('/')}"
    metadata = Metadata(database)
    await metadata.start()
    await metadata.migrate()
    warehouse = Warehouse(f"chdb:////{str(folder / 'warehouse').lstrip('/')}")
    warehouse.open()
    migrate(warehouse)
    journal = DyingJournal(database)
    journal.killer = killer
    log = open_log(f"sqlite:////{str(folder / 'log.db').lstrip('/')}", clock=SystemClock())
    await log.start()
    for topic in hub_topics(1, mirrors=["eu"]):
        await log.create_topic(topic)

    def stored(_: Block, _earliest: datetime) -> None:
        killer.at("stored")
        roller.roll()
        killer.at("rolled")

    dying: Any = DyingWarehouse(warehouse, killer)
    roller = Roller(dying, SystemClock(), RollerConfig(seconds=0))
    writer = BlockWriter(dying, journal, GROUP, roller, stored)
    config = StreamsConfig(
        f"sqlite:////{str(folder / 'log.db').lstrip('/')}",
        group=GROUP,
        mirrors=("eu",),
        data_dir=folder,
        linger_s=0.01,
        block_rows=int(os.environ.get("BLOCK_ROWS", "60")),
    )
    streams = Streams(config, log, writer, SystemClock(), Metrics(), seal=lambda letter: letter)
    await streams.start()
    for topic in config.topics:
        _, end = await log.range(topic, 0)
        await until(partial(_reached, journal, topic, end - 1))
    await streams.stop()
    await log.stop()
    roller.roll()
    print(json.dumps(found(warehouse)), flush=True)
    journal.close()
    warehouse.close()
    await metadata.stop()


def _reached(journal: SqlBlockJournal, topic: str, offset: int) -> bool:
    return (journal.done_through(GROUP, topic, 0) or -1) >= offset


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(240):  # a loaded machine
        while not condition():  # noqa: ASYNC110 - the condition is in somebody else's hands
            await asyncio.sleep(0.01)


def found(warehouse: Warehouse) -> dict[str, Any]:
    raw = "SELECT count(), uniqExact(id), toString(sum(cost_usd)), sum(input_tokens) FROM events"
    rolled = "SELECT sum(events), toString(sum(cost_usd)), sum(input_tokens) FROM "
    return {
        "raw": one(warehouse, raw),
        "payloads": one(warehouse, "SELECT count(), uniqExact(id) FROM payloads"),
        **{name: one(warehouse, rolled + name) for name in ("rollup_10s", "rollup_1m", "rollup_1h")},
    }


def one(warehouse: Warehouse, sql: str) -> list[Any]:
    return [str(value) for value in warehouse.query(sql).rows[0]]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
