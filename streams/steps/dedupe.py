"""Events that come again among their tenant's latest events count once.

The rule is a function of the log alone, whatever the blocks were: an event is a repetition when the last event before
it in its partition with the same tenant and id was received at most ``seconds`` earlier, is at most ``events`` events
of that tenant back, and at most ``total`` events of all tenants. A restart that replays that much of the log therefore
decides the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from streams.columnar import Bools, Ints, codes_of, micros, words
from streams.steps.recent import Keys, RecentIds

#: The columns that the rule needs: what is read of the log's tail.
COLUMNS: Final = ("tenant", "received_at", "id")

_PIECE: Final = 1 << 17
_WRAP: Final = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Window:
    """How far back a repetition is recognised, in one partition.

    Parameters
    ----------
    seconds
        By the time of receipt, in whole seconds.
    events
        Of the same tenant.
    total
        Of all tenants together: bounds the memory at about 45 bytes each.
    """

    seconds: int = 600
    events: int = 1_000_000
    total: int = 1_250_000

    def __post_init__(self) -> None:
        if min(self.seconds, self.events) < 0 or self.total < 1:
            raise ValueError("the limits of the window must not be negative, and the total at least 1")

    @property
    def is_open(self) -> bool:
        """Whether repetitions are recognised at all: a limit of 0 turns it off."""
        return self.seconds > 0 and self.events > 0


class Deduper:
    """The ids of one partition's latest events.

    Not safe for threads: a partition's blocks come one after the other.
    """

    def __init__(self, window: Window) -> None:
        self._window = window
        self._recent = RecentIds(window.total, min(_PIECE, window.total))
        self._tenants: dict[str, int] = {}
        self._seen: Ints = np.zeros(16, np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes held when full."""
        return self._recent.nbytes

    def repeated(self, table: pa.Table) -> Bools:
        """Which rows repeat an earlier event; remembers all of them."""
        repeated = np.zeros(table.num_rows, np.bool_)
        ids, seconds, tenants = words(table, "id"), micros(table, "received_at") // 10**6, self._numbers(table)
        for start in range(0, table.num_rows, self._recent.piece):
            part = slice(start, start + self._recent.piece)
            keys = Keys(ids[part, 0], ids[part, 1], tenants[part])
            repeated[part] = self._piece(keys, seconds[part])
        return repeated

    def _piece(self, keys: Keys, seconds: Ints) -> Bools:
        sequence = self._sequence(keys.tenant)
        at, rows = self._recent.add(keys, seconds, sequence)
        repeated = np.zeros(len(keys), np.bool_)
        if len(at):
            age = seconds[at] - self._recent.time(rows)
            back = (sequence[at] - self._recent.sequence(rows)) & _WRAP
            repeated[at] = (age <= self._window.seconds) & (back <= self._window.events)
        return repeated

    def _numbers(self, table: pa.Table) -> npt.NDArray[np.int32]:
        """A number for every row's tenant, the same for as long as this object lives."""
        coded = codes_of(table, "tenant")
        known = [self._tenants.setdefault(str(value), len(self._tenants)) for value in coded.values]
        if len(self._tenants) > len(self._seen):
            self._seen = np.concatenate([self._seen, np.zeros(len(self._tenants), np.int64)])
        return np.array(known, np.int32)[coded.codes]

    def _sequence(self, tenants: npt.NDArray[np.int32]) -> Ints:
        """The running number of every event within its tenant."""
        first, count = int(tenants[0]), len(tenants)
        if (tenants == first).all():
            start = int(self._seen[first])
            self._seen[first] += count
            return np.arange(start, start + count)
        order = np.argsort(tenants, kind="stable")
        values, starts, counts = np.unique(tenants[order], return_index=True, return_counts=True)
        sequence = np.empty(count, np.int64)
        sequence[order] = np.arange(count) + np.repeat(self._seen[values] - starts, counts)
        self._seen[values] += counts
        return sequence


def duplicates_by_tenant(table: pa.Table, repeated: Bools) -> Iterator[tuple[str, int]]:
    """How many events of each tenant were repetitions."""
    coded = codes_of(table, "tenant")
    counts = np.bincount(coded.codes[repeated], minlength=len(coded.values))
    return ((str(coded.values[i]), int(counts[i])) for i in np.flatnonzero(counts))
