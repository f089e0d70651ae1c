"""The latest ids of a partition in numpy arrays: exact, bounded, and worked on a whole block at a time.

Every event gets a row of a ring, and the rows whose ids hash alike are chained, newest first. A hash slot that is empty
or points out of the ring proves an id new; else the ids along the chain are compared.
"""

import os
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from streams.columnar import Bools, Ints

_Words = npt.NDArray[np.uint64]
_Half = npt.NDArray[np.uint32]
_WRAP: Final = 2**32 - 1

# Odd multipliers, other ones in every process: nobody can choose ids that collide here.
_MIX: Final = np.frombuffer(os.urandom(32), np.uint64) | np.uint64(1)


@dataclass(frozen=True, slots=True)
class Keys:
    """Ids of 16 bytes as two words, and the number of their tenant."""

    low: _Words
    high: _Words
    tenant: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.low)


class RecentIds:
    """The ids of the last ``capacity`` events.

    Parameters
    ----------
    capacity
        Events that stay; about 48 bytes each.
    piece
        Most events that are added at a time.
    """

    def __init__(self, capacity: int, piece: int) -> None:
        self.capacity = capacity
        self.piece = piece
        self._room = capacity + piece
        self._bits = max(10, (2 * capacity - 1).bit_length())
        # Numbers of rows are kept modulo 2**32, one above, so that 0 is "none".
        self._head: _Half = np.zeros(1 << self._bits, np.uint32)
        self._next: _Half = np.empty(self._room, np.uint32)
        self._low: _Words = np.empty(self._room, np.uint64)
        self._high: _Words = np.empty(self._room, np.uint64)
        self._tenant: npt.NDArray[np.int32] = np.empty(self._room, np.int32)
        self._time: _Half = np.empty(self._room, np.uint32)
        self._sequence: _Half = np.empty(self._room, np.uint32)
        self._end = 0

    @property
    def nbytes(self) -> int:
        """Bytes held when full."""
        ring = (self._next, self._low, self._high, self._tenant, self._time, self._sequence)
        return self._head.nbytes + sum(array.nbytes for array in ring)

    def add(self, keys: Keys, seconds: Ints, sequence: Ints) -> tuple[Ints, Ints]:
        """Add events in order; return which have a predecessor of the same key here, and the predecessors' rows.

        Rows are valid for :meth:`time` and :meth:`sequence` until the next call.
        """
        count = len(keys)
        own = np.arange(self._end, self._end + count)
        for ring, values in (
            (self._low, keys.low),
            (self._high, keys.high),
            (self._tenant, keys.tenant),
            (self._time, seconds),
            (self._sequence, sequence),
        ):
            self._write(ring, values)
        before = self._link(keys, own)
        self._end += count
        return self._walk(own, before)

    def time(self, rows: Ints) -> Ints:
        """When the events of these rows were received, in seconds."""
        return self._time[rows % self._room].astype(np.int64)

    def sequence(self, rows: Ints) -> Ints:
        """Their running number within the tenant, modulo 2**32."""
        return self._sequence[rows % self._room].astype(np.int64)

    def _write(self, ring: npt.NDArray[np.generic], values: npt.NDArray[np.generic]) -> None:
        start = self._end % self._room
        fits = min(len(values), self._room - start)
        ring[start : start + fits] = values[:fits]
        ring[: len(values) - fits] = values[fits:]

    def _link(self, keys: Keys, own: Ints) -> Ints:
        """Put the rows at the head of their chains; return what each has behind it."""
        slots = self._slots(keys)
        stored = (own + 1).astype(np.uint32)
        behind = self._head[slots]
        self._head[slots] = stored  # of several rows for one slot the last written stays: the newest
        lost = np.flatnonzero(self._head[slots] != stored)
        if len(lost):
            newest = (self._absolute(self._head[slots[lost]], int(own[-1])) - own[0]).astype(np.int64)
            shared = np.unique(np.concatenate([lost, newest]))
            shared = shared[np.argsort(slots[shared], kind="stable")]
            same = np.flatnonzero(slots[shared][1:] == slots[shared][:-1])
            behind[shared[same + 1]] = stored[shared[same]]
        self._write(self._next, behind)
        return self._absolute(behind, int(own[-1]))

    def _slots(self, keys: Keys) -> Ints:
        mixed = keys.low * _MIX[0]
        mixed ^= keys.high * _MIX[1]
        mixed += keys.tenant.astype(np.uint64) * _MIX[2]
        mixed ^= mixed >> np.uint64(32)
        mixed *= _MIX[3]
        mixed >>= np.uint64(64 - self._bits)
        slots: Ints = mixed.astype(np.int64)
        return slots

    def _absolute(self, stored: _Half, newest: int) -> Ints:
        """Row numbers from what is kept of them: the latest number up to ``newest`` that fits."""
        rows: Ints = newest - ((newest + 1 - stored.astype(np.int64)) & _WRAP)
        return rows

    def _walk(self, own: Ints, before: Ints) -> tuple[Ints, Ints]:
        """Follow the chains to the first row with the same key that is still within the capacity."""
        found_at: list[Ints] = []
        found: list[Ints] = []
        pending = np.flatnonzero((before >= 0) & (own - before <= self.capacity))
        before = before[pending]
        while len(pending):
            equal = self._equal(own[pending] % self._room, before % self._room)
            found_at.append(pending[equal])
            found.append(before[equal])
            pending, before = pending[~equal], before[~equal]
            further = self._absolute(self._next[before % self._room], self._end - 1)
            # A chain only leads to older rows; what does not is the rest of an overwritten one.
            onward = (further >= 0) & (further < before) & (own[pending] - further <= self.capacity)
            pending, before = pending[onward], further[onward]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate(found_at), np.concatenate(found)

    def _equal(self, left: Ints, right: Ints) -> Bools:
        equal: Bools = (
            (self._low[left] == self._low[right])
            & (self._high[left] == self._high[right])
            & (self._tenant[left] == self._tenant[right])
        )
        return equal
