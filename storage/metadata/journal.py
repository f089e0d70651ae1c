"""The block journal: what the warehouse writer is about to insert, written down first.

A killed process may leave a block in a table and not in its rollups. The restart sends the *very same* block again
with the same token, and the engine drops what it has; for that the block's range of offsets must be known. And a
block that was finished, while the consumer's offset was not yet committed, must not be sent again under other
bounds: :meth:`BlockJournal.done_through` says how far the stored blocks reach.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.engine import Engine
from sqlalchemy.orm import aliased

from core.clock import Clock, SystemClock
from core.errors import Conflict
from core.ids import derived_id
from storage.metadata.engine import READ_ONLY, make_sync_engine
from storage.metadata.models import JournalBlock

_PENDING, _DONE = "pending", "done"

# Built once: putting a statement together costs more than SQLite needs to run it.
_ROW = JournalBlock
_HERE = (
    _ROW.group == bindparam("at_group"),
    _ROW.topic == bindparam("at_topic"),
    _ROW.partition == bindparam("at_partition"),
)
_FIRST_PENDING = (
    select(_ROW.first, _ROW.last, _ROW.token)
    .where(*_HERE, _ROW.state == _PENDING, _ROW.first <= bindparam("high"), _ROW.last >= bindparam("low"))
    .order_by(_ROW.first)
    .limit(1)
)
_FURTHEST = select(func.max(_ROW.last)).where(*_HERE, _ROW.state == _DONE)
_STANDS = select(_ROW.partition, _ROW.state, _ROW.last, _ROW.position).where(
    _ROW.group == bindparam("at_group"), _ROW.topic == bindparam("at_topic")
)
_BEGIN = insert(_ROW)
_DONE_BEFORE = aliased(_ROW)
# A block without events has no position of its own: it keeps that of the block before.
_REACHED = (
    select(func.max(_DONE_BEFORE.position))
    .where(
        _DONE_BEFORE.group == bindparam("at_group"),
        _DONE_BEFORE.topic == bindparam("at_topic"),
        _DONE_BEFORE.partition == bindparam("at_partition"),
        _DONE_BEFORE.state == _DONE,
    )
    .scalar_subquery()
)
_FINISH = (
    update(_ROW)
    .where(*_HERE, _ROW.first == bindparam("low"))
    .values(state=_DONE, position=func.coalesce(bindparam("reached", type_=BigInteger), _REACHED))
)
# Only the furthest finished block is needed: the journal stays a row or two a partition.
_PRUNE = delete(_ROW).where(*_HERE, _ROW.state == _DONE, _ROW.last < bindparam("high"))

_ALL = {"low": 0, "high": 2**62}


@dataclass(frozen=True, slots=True)
class Block:
    """A run of records of one partition, ``first`` and ``last`` offset included, and its deduplication token."""

    group: str
    topic: str
    partition: int
    first: int
    last: int
    token: str


@dataclass(frozen=True, slots=True)
class Stand:
    """How far a partition is stored, all of one moment.

    Parameters
    ----------
    last
        Highest offset of a finished block; −1 where there is none.
    position
        Highest position of the events of finished blocks; None where no block has said so yet.
    pending
        Highest offset of a block that was begun and not finished; None where there is none.
    """

    last: int = -1
    position: int | None = None
    pending: int | None = None


class BlockJournal(Protocol):
    """Blocking and thread-safe; every call is durable (fsync) when it returns. One writer a partition."""

    def begin(
        self,
        group: str,
        topic: str,
        partition: int,
        first: int,
        last: int,
        token: str,
        beside: Sequence[tuple[str, int]] = (),
    ) -> Block:
        """Write a block down before it is inserted.

        Idempotent: the same range again answers the block that is there, with *its* token. Raises
        :class:`core.errors.Conflict` when the range overlaps another unfinished block, or begins among records that
        are stored: whoever asks has lost the partition to another and has not noticed. So has who says of the same
        partition of another topic (``beside``) that it is stored through an offset, and it is not so, or a block of it
        is begun.
        """
        ...

    def finish(self, block: Block, position: int | None = None) -> None:
        """Note that the block is stored, in all its tables, its events up to ``position``. Idempotent."""
        ...

    def pending(self, group: str, topic: str, partition: int) -> Block | None:
        """The first block that was begun and not finished: send it again, as it is, before anything else."""
        ...

    def done_through(self, group: str, topic: str, partition: int) -> int | None:
        """The highest offset of a finished block: records up to it are stored, skip them. ``None``: none is."""
        ...

    def stands(self, group: str, topic: str) -> dict[int, Stand]:
        """How far every partition of a topic is, by number; those that nothing was begun of are left out."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class SqlBlockJournal:
    """The journal in the metadata database, on a blocking engine of its own.

    Parameters
    ----------
    url
        The metadata database, already migrated.
    clock
        Stamps the blocks.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self._engine: Engine = make_sync_engine(url)
        self._reader: Engine = self._engine.execution_options(**{READ_ONLY: True})
        self._clock: Clock = clock or SystemClock()

    def begin(
        self,
        group: str,
        topic: str,
        partition: int,
        first: int,
        last: int,
        token: str,
        beside: Sequence[tuple[str, int]] = (),
    ) -> Block:
        block = Block(group, topic, partition, first, last, token)
        with self._engine.begin() as connection:
            _alone(connection, block)
            there = _pending(connection, group, topic, partition, low=first, high=last)
            if there is None:
                through = connection.execute(_FURTHEST, _at(group, topic, partition)).scalar_one_or_none()
                if through is not None and first <= through:
                    raise Conflict(
                        f"Offsets up to {through} of {topic}/{partition} are stored; a block that begins at {first} "
                        "would store some of them again."
                    )
                for other, known in beside:
                    _unchanged(connection, group, other, partition, known)
                connection.execute(_BEGIN, self._row(block))
                return block
        if (there.first, there.last) != (first, last):
            raise Conflict(
                f"Offsets {first}–{last} of {topic}/{partition} overlap the unfinished block "
                f"{there.first}–{there.last}; send that one again first."
            )
        return there

    def finish(self, block: Block, position: int | None = None) -> None:
        here = _at(block.group, block.topic, block.partition)
        with self._engine.begin() as connection:
            connection.execute(_FINISH, {**here, "low": block.first, "reached": position})
            connection.execute(_PRUNE, {**here, "high": block.last})

    def pending(self, group: str, topic: str, partition: int) -> Block | None:
        with self._reader.begin() as connection:
            return _pending(connection, group, topic, partition, **_ALL)

    def done_through(self, group: str, topic: str, partition: int) -> int | None:
        with self._reader.begin() as connection:
            return connection.execute(_FURTHEST, _at(group, topic, partition)).scalar_one_or_none()

    def stands(self, group: str, topic: str) -> dict[int, Stand]:
        found: dict[int, Stand] = {}
        with self._reader.begin() as connection:
            for partition, state, last, position in connection.execute(_STANDS, {"at_group": group, "at_topic": topic}):
                known = found.get(partition, Stand())
                if state == _DONE and last >= known.last:
                    known = replace(known, last=last, position=position)
                elif state == _PENDING:
                    known = replace(known, pending=max(last, known.pending or 0))
                found[partition] = known
        return found

    def close(self) -> None:
        self._engine.dispose()

    def _row(self, block: Block) -> dict[str, object]:
        return {
            "consumer_group": block.group,
            "topic": block.topic,
            "partition_number": block.partition,
            "first_offset": block.first,
            "last_offset": block.last,
            "token": block.token,
            "state": _PENDING,
            "created_at": self._clock.now(),
        }


def _alone(connection: Connection, block: Block) -> None:
    """Keep others from beginning a block of the partition, of whatever topic, until this transaction ends.

    SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        place = derived_id(block.group, block.partition).int % 2**63
        connection.execute(select(func.pg_advisory_xact_lock(place)))


def _unchanged(connection: Connection, group: str, topic: str, partition: int, known: int) -> None:
    """Raise ``Conflict`` unless all that was ever begun of a partition is what is stored up to ``known`` (-1: none)."""
    through = connection.execute(_FURTHEST, _at(group, topic, partition)).scalar_one_or_none()
    begun = _pending(connection, group, topic, partition, **_ALL)
    if begun is not None or (-1 if through is None else through) != known:
        raise Conflict(
            f"{topic}/{partition} is not where it was, stored through {known}: repetitions must be looked up anew."
        )


def _at(group: str, topic: str, partition: int) -> dict[str, str | int]:
    return {"at_group": group, "at_topic": topic, "at_partition": partition}


def _pending(connection: Connection, group: str, topic: str, partition: int, *, low: int, high: int) -> Block | None:
    place = _at(group, topic, partition)
    row = connection.execute(_FIRST_PENDING, {**place, "low": low, "high": high}).first()
    return None if row is None else Block(group, topic, partition, row[0], row[1], row[2])
