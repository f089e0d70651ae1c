"""Gathering the records of a partition into blocks. Pure: knows neither Faust nor a log."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from broker.log import Record

#: Topic and partition.
TopicPartition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Records of one partition in order, oldest first.

    ``first_offset`` and ``last_offset`` are both included; ``rows`` and ``size`` (bytes of values) are sums.
    ``attempt`` counts from 1 and grows when the same block is tried again. After a restart blocks begin at the
    committed offset, but may be cut elsewhere: whoever needs the very same block again writes its offsets down first.
    """

    topic: str
    partition: int
    first_offset: int
    last_offset: int
    records: tuple[Record, ...]
    rows: int
    size: int
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """When a block is ready, and how much may wait.

    Parameters
    ----------
    linger_s
        A block is ready this long after its first record came in, however small it is.
    busy_rows, busy_linger_s
        A block that has so many rows by then lingers longer: a large one costs its handler little more than a small
        one, and under such load it soon has ``enough_rows``.
    enough_rows
        A block is ready with so many rows; it is larger only when more waits already. None: with ``max_rows``.
    max_records, max_rows, max_bytes
        A block is ready when one of them is reached, and never larger; one larger record is a block of its own.
    buffer_bytes
        Fetching pauses while more than this waits, and goes on at half of it.
    retry_s, retry_max_s
        First and longest pause before a failed block is tried again.
    """

    linger_s: float = 0.2
    max_records: int = 1000
    max_rows: int = 100_000
    max_bytes: int = 32 << 20
    buffer_bytes: int = 64 << 20
    retry_s: float = 0.1
    retry_max_s: float = 10.0
    busy_rows: int | None = None
    busy_linger_s: float = 1.5
    enough_rows: int | None = None


@dataclass(slots=True)
class _Waiting:
    """What has come in of one partition and is in no block yet."""

    since: float
    records: deque[tuple[Record, int]] = field(default_factory=deque)
    rows: int = 0
    size: int = 0


class Gatherer:
    """Gathers records by partition and says when a block is ready.

    Parameters
    ----------
    limits
        Sizes and times.
    rows
        How many rows a record has; called once for each record.
    """

    def __init__(self, limits: BlockLimits, rows: Callable[[Record], int]) -> None:
        self.size = 0
        self._limits, self._rows = limits, rows
        self._waiting: dict[TopicPartition, _Waiting] = {}

    def add(self, record: Record, now: float) -> bool:
        """Take a record in; True when somebody who waits for a block should look again."""
        waiting = self._waiting.get((record.topic, record.partition))
        first = waiting is None
        if waiting is None:
            waiting = self._waiting[record.topic, record.partition] = _Waiting(now)
        rows, size = self._rows(record), len(record.value or b"")
        waiting.records.append((record, rows))
        waiting.rows += rows
        waiting.size += size
        self.size += size
        return first or self._is_full(waiting)

    def forget(self, partition: TopicPartition) -> None:
        """Drop what waits of a partition."""
        waiting = self._waiting.pop(partition, None)
        if waiting is not None:
            self.size -= waiting.size

    def take(self, now: float) -> RecordBlock | None:
        """The ready block that has waited longest, if any."""
        ready = [
            (waiting.since, partition)
            for partition, waiting in self._waiting.items()
            if self._is_full(waiting) or now - waiting.since >= self._linger(waiting)
        ]
        return self._cut(min(ready)[1], now) if ready else None

    def due_in(self, now: float) -> float | None:
        """Seconds until a block is ready without any more records; None when nothing waits."""
        if not self._waiting:
            return None
        return max(0.0, min(waiting.since + self._linger(waiting) for waiting in self._waiting.values()) - now)

    def _linger(self, waiting: _Waiting) -> float:
        limits = self._limits
        busy = limits.busy_rows is not None and waiting.rows >= limits.busy_rows
        return max(limits.linger_s, limits.busy_linger_s) if busy else limits.linger_s

    def _is_full(self, waiting: _Waiting) -> bool:
        limits = self._limits
        return (
            len(waiting.records) >= limits.max_records
            or waiting.rows >= (limits.enough_rows or limits.max_rows)
            or waiting.size >= limits.max_bytes
        )

    def _cut(self, partition: TopicPartition, now: float) -> RecordBlock:
        """Take a block off the front. What stays behind begins to linger anew, for a backlog to make full blocks."""
        waiting = self._waiting[partition]
        records: list[Record] = []
        rows = size = 0
        while waiting.records:
            record, record_rows = waiting.records[0]
            record_size = len(record.value or b"")
            if records and self._would_overflow(len(records), rows + record_rows, size + record_size):
                break
            waiting.records.popleft()
            records.append(record)
            rows, size = rows + record_rows, size + record_size
        waiting.since, waiting.rows, waiting.size = now, waiting.rows - rows, waiting.size - size
        self.size -= size
        if not waiting.records:
            del self._waiting[partition]
        return RecordBlock(*partition, records[0].offset, records[-1].offset, tuple(records), rows, size)

    def _would_overflow(self, records: int, rows: int, size: int) -> bool:
        limits = self._limits
        return records >= limits.max_records or rows > limits.max_rows or size > limits.max_bytes
