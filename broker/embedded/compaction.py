"""Keeping only the newest record of each key, for the changelogs of tables."""

from broker.embedded.catalogue import Partition
from broker.embedded.schema import row_id
from broker.embedded.transaction import Transaction


def compact(transaction: Transaction, partition: Partition, threshold: int) -> None:
    """Drop what newer records of the same key have replaced, once ``threshold`` records have come in since last time.

    Tombstones stay, and so do records without a key. Offsets are not moved: a reader only sees gaps. The newest record
    is nobody's predecessor and stays, which keeps the next offset.
    """
    if partition.next - partition.compacted_to < threshold:
        return
    bounds = (row_id(partition.id, 0), row_id(partition.id, partition.next))
    replaced, size = _replaced(transaction, bounds)
    transaction.connection.executemany("DELETE FROM records WHERE id = ?", replaced)
    partition.compacted_to = partition.next
    transaction.dropped(partition, partition.earliest, size)
    transaction.connection.execute(
        "UPDATE partitions SET counted_to = ?, counted_bytes = ?, compacted_to = ? WHERE id = ?",
        (partition.next, partition.size - size, partition.next, partition.id),
    )


def _replaced(transaction: Transaction, bounds: tuple[int, int]) -> tuple[list[tuple[int]], int]:
    """The rows that have a successor, and the bytes of their values."""
    newest: dict[bytes, tuple[int, int]] = {}
    replaced: list[tuple[int]] = []
    freed = 0
    for id_, key, size in transaction.connection.execute(
        "SELECT id, key, ifnull(length(value), 0) FROM records WHERE id >= ? AND id < ? ORDER BY id", bounds
    ):
        if key is None:
            continue
        if key in newest:
            old_id, old_size = newest[key]
            replaced.append((old_id,))
            freed += old_size
        newest[key] = (id_, size)
    return replaced, freed
