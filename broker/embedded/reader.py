"""Reading the file from a few threads, each with a connection of its own."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from broker.embedded.catalogue import Partition
from broker.embedded.config import SqliteLogConfig
from broker.embedded.headers import unpack_headers
from broker.embedded.schema import OFFSET_MASK, connect, row_id
from broker.embedded.trouble import running_error
from broker.log import Record
from core.errors import Retryable

T = TypeVar("T")

_SELECT = "SELECT id, timestamp_ms, key, headers, value FROM records WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"


class Readers:
    """Read-only work on the file, off the event loop."""

    def __init__(self, path: Path, config: SqliteLogConfig, threads: int = 2) -> None:
        self._path, self._config, self._threads = path, config, threads
        self._pool: ThreadPoolExecutor | None = None
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    def start(self) -> None:
        """Make the threads; connections are opened when they are first needed."""
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="log-reader")

    def stop(self) -> None:
        """Let running reads end, then close the connections. Blocks."""
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        while self._connections:
            self._connections.pop().close()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of ``work`` on a connection of one of the threads.

        Raises
        ------
        Retryable
            The log is stopped or cannot be read.
        """
        if self._pool is None:
            raise Retryable(f"The log {self._path} is not open.")
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._connection())
        except sqlite3.Error as error:
            raise running_error(error, self._path) from error

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = connect(self._path, self._config)
            connection.execute("PRAGMA query_only = 1")
            self._connections.append(connection)
        return connection


def read_records(
    connection: sqlite3.Connection, partition: Partition, offset: int, max_records: int, max_bytes: int
) -> list[Record]:
    """As :meth:`broker.log.Log.read`, up to the partition's durable end."""
    low, high = row_id(partition.id, offset), row_id(partition.id, partition.next)
    records: list[Record] = []
    size = 0
    rows = connection.execute(_SELECT, (low, high, max_records))
    for id_, timestamp, key, headers, value in rows:
        size += len(value or b"")
        if records and size > max_bytes:
            break
        records.append(
            Record(partition.topic, partition.number, id_ & OFFSET_MASK, key, value, unpack_headers(headers), timestamp)
        )
    rows.close()
    return records


def first_offset_since(connection: sqlite3.Connection, partition: Partition, since_ms: int) -> int:
    """The first offset stamped at or after a time; the next offset when there is none."""
    (first,) = connection.execute(
        "SELECT min(id) FROM records WHERE id >> 40 = ? AND timestamp_ms >= ?", (partition.id, since_ms)
    ).fetchone()
    return partition.next if first is None else first & OFFSET_MASK
