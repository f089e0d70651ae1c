"""The one thread that writes: what waits while the disk is busy shares the next transaction and its fsync."""

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from broker.embedded.catalogue import Catalogue
from broker.embedded.config import SqliteLogConfig
from broker.embedded.schema import connect_writer, open_file
from broker.embedded.tail import Tail
from broker.embedded.transaction import Transaction
from broker.embedded.trouble import running_error
from broker.embedded.wakeups import Wakeups
from core.clock import Clock
from core.errors import HubError, Retryable, SlowDown

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Work of one request inside the group's transaction.
Work = Callable[[Transaction], Any]


@dataclass(slots=True)
class _Request:
    work: Work
    size: int
    future: "asyncio.Future[Any]"
    result: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class WriterCounts:
    """What the writer has done since it started."""

    transactions: int = 0
    requests: int = 0
    refused: int = 0


class Writer:
    """Runs requests in groups, each group in one durable transaction.

    ``submit`` may be called from any event loop. A group takes whatever waits, so that the slower the disk the larger
    the groups; nothing is delayed on purpose.
    """

    def __init__(
        self, path: Path, config: SqliteLogConfig, clock: Clock, catalogue: Catalogue, tail: Tail, wakeups: Wakeups
    ) -> None:
        self.counts = WriterCounts()
        self.queued_bytes = 0
        self._path, self._config, self._clock = path, config, clock
        self._catalogue, self._tail, self._wakeups = catalogue, tail, wakeups
        self._queue: deque[_Request] = deque()
        self._wake = threading.Condition()
        self._closing = True
        self._thread: threading.Thread | None = None
        self._connection: sqlite3.Connection
        self._data_version = 0

    def start(self) -> None:
        """Open the file and start the thread. Blocks while the file is opened or recovered."""
        self._connection = open_file(self._path, self._config)
        self._catalogue.load(self._connection)
        self._data_version = self._read_data_version()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, then end the thread and close the file. Blocks."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self._connection.close()

    def submit(self, work: Callable[[Transaction], T], size: int = 0) -> "asyncio.Future[T]":
        """Have ``work`` run in the next group; the future holds its result once that is durable.

        Raises
        ------
        SlowDown
            Too many bytes wait already. Later, in the future: the disk is full. Nothing was kept.
        Retryable
            The log is stopped; later, in the future: broken.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        with self._wake:
            if self._closing:
                raise Retryable(f"The log {self._path} is not open.")
            if size and self.queued_bytes and self.queued_bytes + size > self._config.queue_bytes:
                self.counts.refused += 1
                raise SlowDown(f"{self.queued_bytes} bytes wait for the log's disk; nothing was kept.")
            self.queued_bytes += size
            self._queue.append(_Request(work, size, future))
            self._wake.notify()
        return future

    def _run(self) -> None:
        while group := self._next_group():
            self._write(group)
            with self._wake:
                self.queued_bytes -= sum(request.size for request in group)
            _settle(group)

    def _next_group(self) -> list[_Request]:
        """Whatever waits, up to the size of a group; empty when the log closes."""
        with self._wake:
            while not self._queue and not self._closing:
                self._wake.wait()
            group: list[_Request] = []
            size = 0
            while self._queue and (not group or size + self._queue[0].size <= self._config.group_bytes):
                group.append(self._queue.popleft())
                size += group[-1].size
            return group

    def _write(self, group: list[_Request]) -> None:
        self.counts.transactions += 1
        self.counts.requests += len(group)
        try:
            grown = self._transact(group)
        except sqlite3.Error as error:
            self._undo(error)
            _fail(group, running_error(error, self._path))
        except Exception as error:
            # The thread must outlive whatever a request does: without it nothing is ever acknowledged again.
            logger.exception("a request to the log failed")
            self._undo(error)
            _fail(group, Retryable(f"The log {self._path} could not do this ({error})."))
        else:
            if grown:
                self._wakeups.notify(grown)

    def _transact(self, group: list[_Request]) -> list[int]:
        self._connection.execute("BEGIN IMMEDIATE")
        if (version := self._read_data_version()) != self._data_version:
            self._data_version = version
            self._catch_up()
        transaction = Transaction(self._connection, self._catalogue, self._clock.now())
        for request in group:
            try:
                request.result = request.work(transaction)
            except HubError as error:
                request.error = error
        transaction.flush()
        self._connection.execute("COMMIT")
        return transaction.publish(self._tail)

    def _catch_up(self) -> None:
        """Take over what other processes have written, and wake whoever waits for it."""
        self._wakeups.notify(partition.id for partition in self._catalogue.load(self._connection))

    def _read_data_version(self) -> int:
        """Changes when another connection has written, which only another process does."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _undo(self, error: Exception) -> None:
        """Forget the transaction; after anything but a full disk also the connection, whose state nobody knows."""
        logger.warning("a transaction of the log was undone: %s", error)
        with contextlib.suppress(sqlite3.Error):
            self._connection.execute("ROLLBACK")
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY):
            return
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
            self._connection = connect_writer(self._path, self._config)
            self._data_version = self._read_data_version()
            self._catch_up()


def _fail(group: list[_Request], error: HubError) -> None:
    for request in group:
        request.error = request.error or error


def _settle(group: list[_Request]) -> None:
    """Hand the outcomes back, with one hop for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[_Request]] = defaultdict(list)
    for request in group:
        by_loop[request.future.get_loop()].append(request)
    for loop, requests in by_loop.items():
        with contextlib.suppress(RuntimeError):  # that loop is closed: nobody waits any more
            loop.call_soon_threadsafe(_finish, requests)


def _finish(requests: list[_Request]) -> None:
    for request in requests:
        if request.future.done():
            continue  # the caller was cancelled
        if request.error is not None:
            request.future.set_exception(request.error)
        else:
            request.future.set_result(request.result)
