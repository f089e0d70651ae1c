"""One group of requests on its way into the file: what they share until the commit, and what readers see after it."""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime

from broker.embedded.catalogue import Catalogue, Partition
from broker.embedded.headers import pack_headers
from broker.embedded.schema import row_id
from broker.embedded.tail import Tail
from broker.log import Mark, NewRecord, Position, Record
from core.errors import Conflict

_Row = tuple[int, int, bytes | None, bytes | None, bytes | None]


class Transaction:
    """The group that is being written. Lives in the writer thread.

    A request that must fail alone raises a :class:`~core.errors.HubError` *before* it changes anything; any other error
    undoes the whole group.
    """

    def __init__(self, connection: sqlite3.Connection, catalogue: Catalogue, now: datetime) -> None:
        self.connection = connection
        self.catalogue = catalogue
        self.now_ms = int(now.timestamp() * 1000)
        self.reload = False
        self._rows: list[_Row] = []
        self._added: dict[int, list[Record]] = defaultdict(list)
        self._partitions: dict[int, Partition] = {}
        self._dropped: list[tuple[Partition, int, int]] = []

    def append(self, records: Sequence[NewRecord], marks: Sequence[Mark]) -> list[Position]:
        """Take the records in; they are sent to SQLite with all others of the group."""
        targets = [self.catalogue.partition(record.topic, record.partition) for record in records]
        for mark in marks:
            if find_mark(self.connection, mark.key, self.now_ms) is not None:
                raise Conflict("A request with the same key has been stored before.")
        self._store_marks(marks)
        return [self._append(record, partition) for record, partition in zip(records, targets, strict=True)]

    def _append(self, record: NewRecord, partition: Partition) -> Position:
        added = self._added[partition.id]
        self._partitions[partition.id] = partition
        offset = partition.next + len(added)
        timestamp = self.now_ms if record.timestamp_ms is None else record.timestamp_ms
        added.append(
            Record(record.topic, record.partition, offset, record.key, record.value, record.headers, timestamp)
        )
        packed = pack_headers(record.headers)
        self._rows.append((row_id(partition.id, offset), timestamp, record.key, packed, record.value))
        return Position(record.topic, record.partition, offset)

    def _store_marks(self, marks: Sequence[Mark]) -> None:
        if marks:
            self.connection.executemany(
                "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)",
                [(m.key, m.body_hash, m.rows, m.answer, int(m.expires_at.timestamp() * 1000)) for m in marks],
            )

    def dropped(self, partition: Partition, earliest: int, size: int) -> None:
        """Retention has taken ``size`` bytes away from the front of a partition, or compaction from its middle."""
        self._dropped.append((partition, earliest, size))

    def flush(self) -> None:
        """Send the collected records to SQLite."""
        self.connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?)", self._rows)

    def publish(self, tail: Tail) -> list[int]:
        """After the commit: let readers see it. Returns the ids of the partitions that have grown."""
        for partition, earliest, size in self._dropped:
            partition.earliest = max(partition.earliest, earliest)
            partition.size -= size
        for id_, added in self._added.items():
            partition = self._partitions[id_]
            tail.extend(id_, added)
            partition.size += sum(len(record.value or b"") for record in added)
            partition.next = added[-1].offset + 1
        grown = self.catalogue.load(self.connection) if self.reload else []
        return [*self._added, *(partition.id for partition in grown)]


def find_mark(connection: sqlite3.Connection, key: bytes, now_ms: int) -> Mark | None:
    """The mark of a key unless it has expired."""
    row = connection.execute(
        "SELECT body_hash, rows, answer, expires_ms FROM marks WHERE key = ? AND expires_ms > ?", (key, now_ms)
    ).fetchone()
    if row is None:
        return None
    return Mark(key, row[0], row[1], row[2], datetime.fromtimestamp(row[3] / 1000, UTC))


def marks_after(connection: sqlite3.Connection, *, key: bytes, now_ms: int, limit: int = 1000) -> list[Mark]:
    """The next live marks behind a key, in the order of their keys."""
    rows = connection.execute(
        "SELECT key, body_hash, rows, answer, expires_ms FROM marks WHERE key > ? AND expires_ms > ? "
        "ORDER BY key LIMIT ?",
        (key, now_ms, limit),
    ).fetchall()
    return [
        Mark(key, body_hash, count, answer, datetime.fromtimestamp(expires / 1000, UTC))
        for key, body_hash, count, answer, expires in rows
    ]
