"""What is read again of the log after a start: the ids before a block, and the very records of a block."""

import asyncio
from collections.abc import Sequence
from typing import Final

import pyarrow as pa

from broker.log import Log, Record
from core.errors import Poison
from streams.steps.decode import decode_record
from streams.steps.dedupe import COLUMNS, Deduper, Window

#: Records read at a time, going backwards.
_STEP: Final = 256
#: Clocks of several doors may differ by this much.
SLACK_MS: Final = 60_000


async def read_exactly(log: Log, topic: str, partition: int, first: int, last: int) -> list[Record]:
    """The records from ``first`` to ``last``, both included, that the log still has."""
    records: list[Record] = []
    offset = max(first, (await log.range(topic, partition))[0])
    while offset <= last:
        some = await log.read(topic, partition, offset, max_records=min(500, last - offset + 1))
        records += [record for record in some if record.offset <= last]
        if not some:
            break
        offset = some[-1].offset + 1
    return records


async def restored(log: Log, record: Record, window: Window) -> Deduper:
    """A deduper that knows the events before a record, as far back as the rule looks."""
    deduper = Deduper(window)
    since = record.timestamp_ms - window.seconds * 1000 - SLACK_MS
    pieces: list[pa.Table] = []
    rows, end = 0, record.offset
    earliest, _ = await log.range(record.topic, record.partition)
    while end > earliest and rows <= window.total:
        start = max(earliest, end - _STEP)
        records = await read_exactly(log, record.topic, record.partition, start, end - 1)
        recent = [one for one in records if one.timestamp_ms >= since]
        tables = await asyncio.to_thread(_ids, recent)
        rows += sum(table.num_rows for table in tables)
        pieces.extend(reversed(tables))
        end = start
        if len(recent) < len(records):
            break
    await asyncio.to_thread(_feed, deduper, pieces)
    return deduper


def _ids(records: Sequence[Record]) -> list[pa.Table]:
    tables = []
    for record in records:
        try:
            tables.append(decode_record(record.value, COLUMNS))
        except Poison:
            continue  # it gave no events then either
    return tables


def _feed(deduper: Deduper, pieces: list[pa.Table]) -> None:
    """Newest first as they were found; the memory of each is released once it is taken over."""
    while pieces:
        deduper.repeated(pieces.pop())
