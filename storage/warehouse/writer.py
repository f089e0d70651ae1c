"""Stores blocks of events exactly once, whatever dies in between."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from broker.topics import lane
from core.ids import derived_id

if TYPE_CHECKING:
    from storage.metadata.journal import Block as JournalBlock

#: A block whose times lie further apart than this is no live traffic, and is inserted in parts of so many rows.
SPREAD: Final = timedelta(minutes=15)
SPREAD_ROWS: Final = 20_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Block:
    """A run of log records, ready to be stored.

    Parameters
    ----------
    topic, partition
        Where it comes from.
    first_offset, last_offset
        Its records, both included.
    events
        Rows of ``events``; columns that are null throughout may be missing.
    payloads
        Rows of ``payloads``; None when no row has contents.
    beside
        Other topics that repetitions were looked up in, each with the offset that it was stored through: if that has
        changed when the block is begun, it is refused.
    """

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    events: pa.Table
    payloads: pa.Table | None = None
    beside: tuple[tuple[str, int], ...] = ()


class Journal(Protocol):
    """What the writer needs of :class:`storage.metadata.journal.BlockJournal`. Blocking, durable on return."""

    def begin(
        self,
        group: str,
        topic: str,
        partition: int,
        first: int,
        last: int,
        token: str,
        beside: Sequence[tuple[str, int]] = (),
    ) -> "JournalBlock": ...

    def finish(self, block: "JournalBlock", position: int | None = None) -> None: ...

    def pending(self, group: str, topic: str, partition: int) -> "JournalBlock | None": ...

    def done_through(self, group: str, topic: str, partition: int) -> int | None: ...


class Positions(Protocol):
    """What the writer needs of :class:`storage.warehouse.roller.Roller`: it numbers inserts, and folds what is done."""

    def resume(self, lane: int, *, complete: bool) -> None: ...

    def take(self, lane: int, count: int) -> Sequence[int]: ...

    def stored(self, lane: int, position: int, rows: int, earliest: datetime) -> None: ...


class Inserts(Protocol):
    """What the writer needs of :class:`storage.warehouse.client.Warehouse`."""

    def insert(self, table: str, rows: pa.Table, token: str = "") -> None: ...


@dataclass(frozen=True, slots=True)
class Resume:
    """Where a partition goes on after a start.

    Parameters
    ----------
    stored_through
        Highest offset that is stored for certain: records up to it are skipped. None: nothing is.
    resend
        First and last offset of a block that may be stored in part: it must be the next block of its partition, with
        exactly these records. None: any block will do.
    """

    stored_through: int | None
    resend: tuple[int, int] | None


class BlockWriter:
    """Writes blocks so that each is stored once, in every table.

    The range of a block is in the journal before anything is inserted. A block that comes again carries the same
    tokens, so the engine drops what it has of it and completes what it lacks. The rollups follow the positions of
    events, and only past a block that is whole.

    Parameters
    ----------
    warehouse
        Takes the rows.
    journal
        Remembers what is under way.
    group
        Consumer group that the offsets belong to.
    positions
        Numbers the inserts of a lane for the rollups.
    stored
        Called after each block with its earliest time, for whoever keeps answers until the next write.
    shard_of
        Where the tables of a lane are, in a cluster; all are in ``warehouse`` without it.
    """

    def __init__(
        self,
        warehouse: Inserts,
        journal: Journal,
        group: str,
        positions: Positions,
        stored: Callable[[Block, datetime], None] | None = None,
        shard_of: Callable[[int], Inserts] | None = None,
    ) -> None:
        self._shard_of = shard_of or (lambda _: warehouse)
        self._journal = journal
        self._group = group
        self._positions = positions
        self._stored = stored

    def resume(self, topic: str, partition: int) -> Resume:
        """How to go on with a partition: ask when it is assigned, before the first block of it."""
        pending = self._journal.pending(self._group, topic, partition)
        self._positions.resume(lane(topic, partition), complete=pending is None)
        return Resume(
            stored_through=self._journal.done_through(self._group, topic, partition),
            resend=None if pending is None else (pending.first, pending.last),
        )

    def write(self, block: Block) -> None:
        """Store a block; blocks until the engine has it. The same block again changes nothing.

        Raises
        ------
        core.errors.Retryable
            Call again with the same block: the journal and the tokens make that safe.
        core.errors.Poison
            The engine refuses the contents for ever. The block stays pending until :meth:`write` got its range with
            other contents (without the rows that are wrong), or :meth:`skip` gave it up.
        core.errors.Conflict
            Another unfinished block overlaps, or something was stored beside it meanwhile: see :meth:`resume`.
        """
        if self._is_stored(block):
            return
        mine = lane(block.topic, block.partition)
        entry, shard = self._begin(block), self._shard_of(mine)
        if block.payloads is not None:
            shard.insert("payloads", block.payloads, f"{entry.token}/payloads")
        low, high = _times(block.events)
        parts = list(_parts(block.events, high - low))
        positions = self._positions.take(mine, len(parts))
        for number, (part, position) in enumerate(zip(parts, positions, strict=True)):
            numbered = part.append_column("position", pa.repeat(pa.scalar(position, pa.uint64()), part.num_rows))
            shard.insert("events", numbered, f"{entry.token}/events/{number}")
        self._journal.finish(entry, positions[-1] if parts else None)
        if parts:
            self._positions.stored(mine, positions[-1], block.events.num_rows, low)
        if self._stored is not None:
            self._stored(block, low)

    def skip(self, block: Block) -> None:
        """Give a poisoned block up: its records count as stored. The caller has put them into the dead letters."""
        if not self._is_stored(block):
            self._journal.finish(self._begin(block))

    def _is_stored(self, block: Block) -> bool:
        through = self._journal.done_through(self._group, block.topic, block.partition)
        return through is not None and block.last_offset <= through

    def _begin(self, block: Block) -> "JournalBlock":
        first, last = block.first_offset, block.last_offset
        token = derived_id(self._group, block.topic, block.partition, first, last).hex
        return self._journal.begin(self._group, block.topic, block.partition, first, last, token, block.beside)


def _parts(events: pa.Table, spread: timedelta) -> Iterator[pa.Table]:
    """A block of live events whole; one that is spread over time in parts, the same ones for the same block.

    Every ten seconds of every series begin a state of several kilobytes when the rollups are folded: a block of history
    in one piece would take a gigabyte.
    """
    rows = SPREAD_ROWS if spread > SPREAD else max(1, events.num_rows)
    for first in range(0, events.num_rows, rows):
        yield events.slice(first, rows)


def _times(events: pa.Table) -> tuple[datetime, datetime]:
    """The earliest and the latest time of a block."""
    times = pc.min_max(events.column("time").cast(pa.int64()))
    low, high = times["min"].as_py() or 0, times["max"].as_py() or 0
    return _EPOCH + timedelta(microseconds=low), _EPOCH + timedelta(microseconds=high)
