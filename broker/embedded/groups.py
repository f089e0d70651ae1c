"""Consumer groups: how far each has got, and the lock that lets one process at a time read for it."""

import fcntl
import re
import sqlite3
from collections.abc import Callable, Mapping
from io import FileIO
from pathlib import Path

from broker.embedded.transaction import Transaction

#: Topic and partition.
TopicPartition = tuple[str, int]


def commit(group: str, offsets: Mapping[TopicPartition, int]) -> Callable[[Transaction], None]:
    """Work for the writer: the next offset the group will process, by partition."""

    def work(transaction: Transaction) -> None:
        transaction.connection.executemany(
            "INSERT OR REPLACE INTO commits VALUES (?, ?, ?, ?)",
            [(group, topic, partition, offset) for (topic, partition), offset in offsets.items()],
        )

    return work


def forget_group(group: str) -> Callable[[Transaction], None]:
    """Work for the writer: the group will not come back, retention need not wait for it."""

    def work(transaction: Transaction) -> None:
        transaction.connection.execute("DELETE FROM commits WHERE consumer_group = ?", (group,))

    return work


def read_commits(connection: sqlite3.Connection, group: str) -> dict[TopicPartition, int]:
    """Every offset a group has committed."""
    rows = connection.execute("SELECT topic, partition, offset FROM commits WHERE consumer_group = ?", (group,))
    return {(topic, partition): offset for topic, partition, offset in rows}


class GroupLock:
    """Held by the one process that reads for a group; the system releases it when the process dies."""

    def __init__(self, log_path: Path, group: str) -> None:
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", group)
        self.path = log_path.with_name(f"{log_path.name}.{safe}.lock")
        self._file: FileIO | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._file is not None

    def acquire(self) -> bool:
        """Take the lock if it is free; does not wait."""
        file = FileIO(self.path, "w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None
