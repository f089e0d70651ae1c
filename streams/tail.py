"""What is read again of the log after a start: the ids before a block, and the very records of a block."""

import asyncio
import heapq
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from broker.log import Log, Record
from broker.topics import EVENTS
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


async def restored(log: Log, record: Record, window: Window, beside: Sequence[tuple[str, int]] = ()) -> Deduper:
    """A deduper that knows the events before a record, as far back as the rule looks.

    Parameters
    ----------
    log
        Has the record.
    record
        The next one.
    window
        The rule.
    beside
        Other topics whose partition of this number has the same ids, each with the last offset whose events are to be
        known too.
    """
    partition = record.partition
    began = [record.timestamp_ms, *[await _comes_from(log, topic, partition, through) for topic, through in beside]]
    since = min(began) - window.seconds * 1000 - SLACK_MS
    ends = [(record.topic, record.offset), *((topic, through + 1) for topic, through in beside)]
    runs = [await _before(log, topic, partition, end, since, window.total) for topic, end in ends]
    # newest first, as far as their stamps tell: about as they were handled
    pieces = list(heapq.merge(*runs, key=lambda piece: -piece.timestamp_ms))
    del runs
    deduper = Deduper(window)
    await asyncio.to_thread(_feed, deduper, pieces)
    return deduper


async def _comes_from(log: Log, topic: str, partition: int, through: int) -> int:
    """How old what comes next in a topic may be: a mirror may be hours late, and its first record of any age."""
    last = await log.read(topic, partition, max(0, through), max_records=1)
    if last:
        return last[0].timestamp_ms
    return sys.maxsize if topic == EVENTS else 0


@dataclass(frozen=True, slots=True)
class _Piece:
    """The ids of a record, and when it was appended."""

    timestamp_ms: int
    ids: pa.Table


async def _before(log: Log, topic: str, partition: int, end: int, since: int, total: int) -> list[_Piece]:
    """The ids of the records before ``end`` back to a time or a number of events, newest first."""
    pieces: list[_Piece] = []
    rows = 0
    earliest, _ = await log.range(topic, partition)
    while end > earliest and rows <= total:
        start = max(earliest, end - _STEP)
        records = await read_exactly(log, topic, partition, start, end - 1)
        recent = [one for one in records if one.timestamp_ms >= since]
        found = await asyncio.to_thread(_ids, recent)
        rows += sum(piece.ids.num_rows for piece in found)
        pieces.extend(reversed(found))
        end = start
        if len(recent) < len(records):
            break
    return pieces


def _ids(records: Sequence[Record]) -> list[_Piece]:
    pieces = []
    for record in records:
        try:
            pieces.append(_Piece(record.timestamp_ms, decode_record(record.value, COLUMNS)))
        except Poison:
            continue  # it gave no events then either
    return pieces


def _feed(deduper: Deduper, pieces: list[_Piece]) -> None:
    """Newest first as they were found; the memory of each is released once it is taken over."""
    while pieces:
        deduper.repeated(pieces.pop().ids)
