"""kill -9 at every moment of a block's life: after a restart every event is stored once, and the rollups agree.

Half of the events are in a topic of another region too, as after a failover."""

import asyncio
import json
import os
import signal
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from broker.factory import open_log
from broker.log import NewRecord
from broker.topics import EVENTS, hub_topics
from core.clock import SystemClock
from tests.streams.blocks import make_record, make_table

ROOT = Path(__file__).parents[2]
MOMENTS = ["begun", "insert", "inserted payloads", "inserted events", "finish", "finished", "stored", "fold", "rolled"]
RECORDS, ROWS, OVERLAP = 12, 20, 5  # records for each moment, rows of a record, rows that come again


def _calls(first: int) -> list[dict[str, Any]]:
    """Events of a record; its first ones are the last ones of the record before."""
    return [
        {
            "id": number.to_bytes(16, "big"),
            "provider": "openai",
            "model": "gpt-4o",
            "input_tokens": 1000 + number,
            "output_tokens": 100,
            "body": '{"input_messages": "hello"}',
        }
        for number in range(max(0, first - OVERLAP), first + ROWS)
    ]


async def _fill(folder: Path, first: int) -> None:
    """Append the next records."""
    log = open_log(f"sqlite:////{str(folder / 'log.db').lstrip('/')}", clock=SystemClock())
    await log.start()
    for topic in hub_topics(1, mirrors=["eu"]):
        await log.create_topic(topic)
    for number in range(first, first + RECORDS):
        table = make_table(_calls(number * ROWS))
        headers = (("rows", str(table.num_rows).encode()),)
        topics = (EVENTS, f"eu.{EVENTS}") if number % 2 else (EVENTS,)
        await log.append([NewRecord(topic, 0, None, make_record(table), headers) for topic in topics])
    await log.stop()


async def _run(folder: Path, *moment: str) -> tuple[int, str]:
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("worker.py")),
        str(folder),
        *moment,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(300):
            output, _ = await worker.communicate()
    finally:
        if worker.returncode is None:
            worker.kill()
    return worker.returncode or 0, output.decode()


@pytest.mark.chaos
@pytest.mark.slow
async def test_killed_at_every_moment(tmp_path: Path) -> None:
    for number, moment in enumerate(MOMENTS):
        await _fill(tmp_path, number * RECORDS)
        assert (await _run(tmp_path, moment))[0] == -signal.SIGKILL, moment
    ended, output = await _run(tmp_path)
    assert ended == 0
    found = json.loads(output.splitlines()[-1])
    events = len(MOMENTS) * RECORDS * ROWS
    tokens = sum(range(1000, 1000 + events))
    cost = (Decimal(tokens) * Decimal("2.5") + events * 1000) / 10**6
    assert found["raw"][:2] == [str(events), str(events)]
    assert found["payloads"] == [str(events), str(events)]
    for name in ("raw", "rollup_10s", "rollup_1m", "rollup_1h"):
        *_, money, summed = found[name]
        assert (Decimal(money), int(summed)) == (cost, tokens), name
    assert all(found[name][0] == str(events) for name in found)
