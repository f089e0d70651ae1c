"""How far the rollups are, asked of the warehouse: for who asks a cluster and does not fold itself.

A statement that reads marks beside the rows sees one snapshot of each table on a single server. On a cluster each
reading has a moment of its own, so the marks are asked for before a question, and again after it.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from storage.warehouse.client import Warehouse
from storage.warehouse.roller import UNKNOWN, Level
from storage.warehouse.rollups import LANE_BITS, MARK, ROLLUPS

#: A rollup so many inserts behind the furthest one is being filled.
_FAR: Final = 20_000


class Marks:
    """Asks how far the rollups are. Blocking; safe to share between threads.

    Parameters
    ----------
    warehouse
        An open, migrated warehouse.
    partitions
        Of the log.
    """

    def __init__(self, warehouse: Warehouse, partitions: int) -> None:
        self._warehouse, self._partitions = warehouse, partitions

    def level(self) -> Level:
        """How far each rollup is now."""
        marks = self._ask(rollup.name for rollup in ROLLUPS)
        furthest = [max(lane) for lane in zip(*marks.values(), strict=True)]
        lagging = frozenset(name for name, places in marks.items() if _far(places, furthest))
        return replace(UNKNOWN, marks=marks, lagging=lagging)

    def holds(self, level: Level) -> bool:
        """Whether the rollups of a level are still where it says."""
        return self._ask(level.marks) == level.marks

    def _ask(self, rollups: Iterable[str]) -> dict[str, tuple[int, ...]]:
        names = list(rollups)
        if not names:
            return {}
        text = " UNION ALL ".join(
            f"SELECT '{name}', toUnixTimestamp(time) - {MARK}, max(through) FROM {name} "  # noqa: S608 - the hub's own
            f"WHERE tenant = '' AND time >= toDateTime({MARK}, 'UTC') GROUP BY time"
            for name in names
        )
        found = {(str(name), int(lane)): int(place) for name, lane, place in self._warehouse.query(text).rows}
        return {name: tuple(found.get((name, lane), 0) for lane in range(self._partitions)) for name in names}


def _far(places: Iterable[int], furthest: Iterable[int]) -> bool:
    """Whether a rollup is far behind the others in a partition, which it may not have begun."""
    lanes = enumerate(zip(places, furthest, strict=True))
    return any(top - max(place, lane << LANE_BITS) > _FAR for lane, (place, top) in lanes)
