"""The newest records in memory, so that readers of this process need no disk."""

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from broker.log import Record

#: What a record weighs in memory beside its value.
_OVERHEAD = 200


class Tail:
    """The newest records of all partitions up to a number of bytes; oldest first out. Thread-safe.

    Within a partition the offsets kept are consecutive: after a gap only what follows it is kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._records: dict[int, deque[Record]] = {}
        self._order: deque[int] = deque()
        self._lock = threading.Lock()

    def extend(self, partition_id: int, records: Sequence[Record]) -> None:
        """Records that have just become durable, in order."""
        with self._lock:
            kept = self._records.setdefault(partition_id, deque())
            for record in records:
                if kept and kept[-1].offset + 1 != record.offset:
                    self._forget(partition_id)
                kept.append(record)
                self._order.append(partition_id)
                self._size += _weight(record)
            while self._size > self._limit:
                self._drop_oldest()

    def read(self, partition_id: int, offset: int, max_records: int, max_bytes: int) -> list[Record] | None:
        """As :meth:`broker.log.Log.read`; None when ``offset`` is not in memory."""
        with self._lock:
            kept = self._records.get(partition_id)
            if not kept or offset < kept[0].offset or offset > kept[-1].offset:
                return None
            start = offset - kept[0].offset
            return take(islice(kept, start, start + max_records), max_bytes)

    def _drop_oldest(self) -> None:
        self._size -= _weight(self._records[self._order.popleft()].popleft())

    def _forget(self, partition_id: int) -> None:
        kept = self._records[partition_id]
        self._size -= sum(map(_weight, kept))
        kept.clear()
        self._order = deque(other for other in self._order if other != partition_id)


def take(records: "islice[Record] | Sequence[Record]", max_bytes: int) -> list[Record]:
    """Records while they fit; the first one always does."""
    taken: list[Record] = []
    size = 0
    for record in records:
        size += len(record.value or b"")
        if taken and size > max_bytes:
            break
        taken.append(record)
    return taken


def _weight(record: Record) -> int:
    return _OVERHEAD + len(record.value or b"") + len(record.key or b"")
