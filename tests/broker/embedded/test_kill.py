"""kill -9 while appending: everything acknowledged is there, and marks and records agree."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from broker.embedded.log import SqliteLog
from broker.log import Record
from core.clock import SystemClock

ROOT = Path(__file__).parents[3]
APPENDER = Path(__file__).with_name("appender.py")

pytestmark = pytest.mark.chaos


async def kill_while_appending(path: Path, after_lines: int) -> list[list[int]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(APPENDER), str(path)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(after_lines)]
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    # A last line without its end was cut off by the kill.
    lines += rest.splitlines(keepends=True)
    return [[int(word) for word in line.split()] for line in lines if line.endswith(b"\n")]


async def read_all(log: SqliteLog, partition: int) -> dict[int, Record]:
    _, end = await log.range("t", partition)
    found: dict[int, Record] = {}
    offset = 0
    while offset < end:
        for record in await log.read("t", partition, offset):
            found[record.offset] = record
            offset = record.offset + 1
    return found


async def test_everything_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    for round_ in range(3):
        acknowledged = await kill_while_appending(path, 30 + 40 * round_)
        assert len(acknowledged) >= 30
        log = SqliteLog(path, SystemClock())
        await log.start()
        both = [await read_all(log, partition) for partition in (0, 1)]
        for stored in both:
            assert list(stored) == list(range(len(stored)))
        for writer, number, *offsets in acknowledged:
            for stored, offset in zip(both, offsets, strict=True):
                assert stored[offset].key == b"%d:%d" % (writer, number)
        # All or nothing: an append is in both partitions, and its mark is there with it.
        assert [r.key for r in both[0].values()] == [r.key for r in both[1].values()]
        for record in both[0].values():
            assert await log.lookup_mark(record.key or b"") is not None
        await log.stop()
        path = tmp_path / f"log{round_}.db"
