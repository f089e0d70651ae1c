"""The seam of the log: its values and what every implementation owes its callers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

#: Record headers: names may repeat, order is kept.
Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to be appended; ``timestamp_ms`` None means the moment of the append.

    ``value`` None is a tombstone: in a compacted topic it deletes the key.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A stored record. Offsets of a partition only grow; compaction and retention may leave gaps."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Position:
    """Where an appended record was put."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Mark:
    """What is remembered of a request, so that its retry can be told from a new one.

    Parameters
    ----------
    key
        Tenant and idempotency key, or tenant and body hash: whatever the door looks up.
    body_hash
        Digest of the body, to tell a retry from another body under the same key.
    rows
        How many rows the request had.
    answer
        The stored answer, byte for byte.
    expires_at
        From this moment on the mark is as if it had never been.
    """

    key: bytes
    body_hash: bytes
    rows: int
    answer: bytes
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LogHealth:
    """How a log is: ``running``, ``disconnected`` (it goes on by itself) or ``failed``."""

    state: str = "running"
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with the hub: the doors tell of brokers that are away."""
        return self.state != "failed"


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """A topic. The number of partitions is fixed when it is created.

    Parameters
    ----------
    name
        For example ``hub.events``.
    partitions
        At least 1.
    retention_s
        Records older than this are dropped; None keeps them for ever.
    retention_bytes
        Oldest records of *each partition* are dropped above this size; None means no limit.
    compacted
        Only the newest record of a key need be kept.
    """

    name: str
    partitions: int = 1
    retention_s: float | None = None
    retention_bytes: int | None = None
    compacted: bool = False


class Log(Protocol):
    """A durable, partitioned, append-only log.

    All methods are called on an event loop and never block it. Construction starts nothing; ``start`` and
    ``stop`` are idempotent, and ``stop`` lets what was accepted become durable first.

    Errors, all of :mod:`core.errors`: ``SlowDown`` (full; nothing was kept, come again), ``Retryable`` (down;
    it is *unknown* whether it was kept), ``Conflict`` (a mark of that key lives; nothing was kept), ``NotFound``
    (no such topic or partition), ``TooLarge`` (a record that this log cannot hold).
    """

    async def start(self) -> None:
        """Open the log; what an earlier process acknowledged is there."""
        ...

    async def stop(self) -> None:
        """Make durable what was accepted, then release everything."""
        ...

    def check(self) -> LogHealth:
        """How it is now; never waits."""
        ...

    async def create_topic(self, topic: TopicConfig) -> None:
        """Create a topic or renew its retention. Another number of partitions raises ``SettingsError``."""
        ...

    def partitions(self, topic: str) -> int:
        """Number of partitions of a topic; raises ``NotFound``."""
        ...

    async def append(self, records: Sequence[NewRecord], mark: Mark | Sequence[Mark] | None = None) -> list[Position]:
        """Append in order, and return where to once all of it (and the marks) survives a power cut.

        All or nothing on the embedded log. On Kafka single partitions may have been written when
        ``Retryable`` is raised, which is why a retry is recognised row by row further on. A cancelled
        caller's records may or may not be kept.
        """
        ...

    async def read(
        self, topic: str, partition: int, offset: int, *, max_records: int = 500, max_bytes: int = 8 << 20
    ) -> list[Record]:
        """Records from ``offset`` on (or from the earliest, if that is later); empty at the end.

        At least one record is returned when there is one, however large.
        """
        ...

    async def range(self, topic: str, partition: int) -> tuple[int, int]:
        """``(earliest, next)``: the offset of the first record kept and the one the next record will get."""
        ...

    def tail(self, topic: str, partition: int, since: datetime) -> AsyncIterator[Record]:
        """From the first record stamped at or after ``since`` up to the end at the time of the call."""
        ...

    async def lookup_mark(self, key: bytes) -> Mark | None:
        """The live mark of a key, if any."""
        ...

    def marks(self) -> AsyncIterator[Mark]:
        """Every live mark, in no order; those that come or expire meanwhile may be left out."""
        ...

    async def committed(self, group: str, topic: str, partition: int) -> int | None:
        """The next offset a consumer group will process; None when it has never committed."""
        ...


def as_marks(mark: Mark | Sequence[Mark] | None) -> tuple[Mark, ...]:
    """The marks of an append as a tuple, however they were given."""
    if mark is None:
        return ()
    return (mark,) if isinstance(mark, Mark) else tuple(mark)
