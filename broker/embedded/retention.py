"""Dropping what is too old or too much, a few records at a time between two groups of appends.

What a consumer group has not processed yet is kept whatever the limits say: an event that was accepted is not lost
because the warehouse was down for long. A group that will never come back is forgotten by name.
"""

import sqlite3
from collections.abc import Callable

from broker.embedded.catalogue import Partition
from broker.embedded.compaction import compact
from broker.embedded.schema import OFFSET_MASK, row_id
from broker.embedded.transaction import Transaction
from broker.log import TopicConfig

#: Free pages are given back to the disk when there are this many and they are a quarter of the file.
_FREE_PAGES = 1024
_PAGES_AT_ONCE = 256


def retain(limit: int, compact_at: int) -> Callable[[Transaction], bool]:
    """Work for the writer: drop up to ``limit`` records; its result says whether there is more to drop.

    Compacted topics keep the newest record of every key for ever; they are compacted every ``compact_at`` records.
    """

    def work(transaction: Transaction) -> bool:
        left = limit - _drop_expired_marks(transaction, limit)
        for partition in transaction.catalogue.all_partitions():
            config = transaction.catalogue.topic(partition.topic).config
            if config.compacted:
                compact(transaction, partition, compact_at)
            elif left > 0:
                left -= _drop_front(transaction, partition, config, left)
        return left <= 0 or give_back(transaction.connection)

    return work


def _drop_expired_marks(transaction: Transaction, limit: int) -> int:
    return transaction.connection.execute(
        "DELETE FROM marks WHERE key IN (SELECT key FROM marks WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?)",
        (transaction.now_ms, limit),
    ).rowcount


def _drop_front(transaction: Transaction, partition: Partition, config: TopicConfig, limit: int) -> int:
    """Drop the oldest records of a partition that are over a limit; returns how many."""
    connection = transaction.connection
    end = min(_unprocessed(connection, partition), partition.next - 1)  # the newest record holds the next offset
    until, size = _over_limit(transaction, partition, config, end, limit)
    if size is None:
        return 0
    dropped = connection.execute(
        "DELETE FROM records WHERE id >= ? AND id < ?",
        (row_id(partition.id, partition.earliest), row_id(partition.id, until)),
    ).rowcount
    transaction.dropped(partition, until, size)
    connection.execute(
        "UPDATE partitions SET counted_to = ?, counted_bytes = ? WHERE id = ?",
        (partition.next, partition.size - size, partition.id),
    )
    return dropped


def _over_limit(
    transaction: Transaction, partition: Partition, config: TopicConfig, end: int, limit: int
) -> tuple[int, int | None]:
    """The offset up to which records must go, and their bytes; None when all may stay."""
    oldest = None if config.retention_s is None else transaction.now_ms - int(config.retention_s * 1000)
    largest = partition.size if config.retention_bytes is None else config.retention_bytes
    bounds = (row_id(partition.id, partition.earliest), row_id(partition.id, end), limit)
    until, size = partition.earliest, None
    for id_, timestamp, length in transaction.connection.execute(
        "SELECT id, timestamp_ms, ifnull(length(value), 0) FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        bounds,
    ).fetchall():
        too_old = oldest is not None and timestamp < oldest
        if not too_old and partition.size - (size or 0) <= largest:
            break
        until, size = (id_ & OFFSET_MASK) + 1, (size or 0) + length
    return until, size


def _unprocessed(connection: sqlite3.Connection, partition: Partition) -> int:
    """The first offset that some consumer group still has to process."""
    (lowest,) = connection.execute(
        "SELECT min(offset) FROM commits WHERE topic = ? AND partition = ?", (partition.topic, partition.number)
    ).fetchone()
    return partition.next if lowest is None else int(lowest)


def give_back(connection: sqlite3.Connection) -> bool:
    """Shrink the file a little when much of it is free; says whether there is more to give back."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if free < _FREE_PAGES or free * 4 < pages:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
    return True
