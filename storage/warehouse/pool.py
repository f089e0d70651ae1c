"""A bounded pool of connections, opened as they are needed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.errors import Retryable, SlowDown
from storage.warehouse.session import Session


class SessionPool:
    """Hands out sessions, one thread each; the latest used first, so that few stay warm.

    Parameters
    ----------
    connect
        Opens one session; may raise.
    size
        Most sessions at a time.
    wait_seconds
        How long :meth:`session` waits for a free one before it raises :class:`core.errors.SlowDown`.
    """

    def __init__(self, connect: Callable[[], Session], size: int, wait_seconds: float) -> None:
        self._connect = connect
        self._wait_seconds = wait_seconds
        self._slots = threading.BoundedSemaphore(size)
        self._size = size
        self._lock = threading.Lock()
        self._idle: list[Session] = []
        self._in_use = 0
        self._closed = False

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One session for the length of the block."""
        if not self._slots.acquire(timeout=self._wait_seconds):
            raise SlowDown("Too many questions at a time: ask again in a moment.", retry_after=1)
        try:
            session = self._take()
            with self._lock:
                self._in_use += 1
            try:
                yield session
            finally:
                self._give_back(session)
        finally:
            self._slots.release()

    @property
    def in_use(self) -> int:
        """Sessions that somebody has."""
        return self._in_use

    @property
    def idle(self) -> int:
        """Open sessions that nobody has."""
        return len(self._idle)

    def close(self) -> None:
        """Wait for the sessions in use (as long as a caller would wait for one), then close all of them."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        free = [self._slots.acquire(timeout=self._wait_seconds) for _ in range(self._size)]
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()
        for _ in range(sum(free)):
            self._slots.release()

    def _take(self) -> Session:
        with self._lock:
            if self._closed:
                raise Retryable("The warehouse is closed.")
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, session: Session) -> None:
        with self._lock:
            self._in_use -= 1
            if not self._closed:
                self._idle.append(session)
                return
        session.close()
