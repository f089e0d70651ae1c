"""How far the rollups are, asked of the warehouse: for who asks a cluster and does not fold itself.

A statement that reads marks beside the rows sees one snapshot of each table on a single server. On a cluster each
reading has a moment of its own, so the marks are asked for before a question, and again after it.
"""

from collections.abc import Iterable, Mapping, Sequence
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
    lanes
        Of the log.
    """

    def __init__(self, warehouse: Warehouse, lanes: Sequence[int]) -> None:
        self._warehouse, self._lanes = warehouse, lanes

    def level(self) -> Level:
        """How far each rollup is now."""
        marks = self._ask(rollup.name for rollup in ROLLUPS)
        furthest = {lane: max(places[lane] for places in marks.values()) for lane in self._lanes}
        lagging = frozenset(name for name, places in marks.items() if _far(places, furthest))
        return replace(UNKNOWN, marks=marks, lagging=lagging)

    def holds(self, level: Level) -> bool:
        """Whether the rollups of a level are still where it says."""
        return self._ask(level.marks) == level.marks

    def _ask(self, rollups: Iterable[str]) -> dict[str, dict[int, int]]:
        names = list(rollups)
        if not names:
            return {}
        text = " UNION ALL ".join(
            f"SELECT '{name}', toUnixTimestamp(time) - {MARK}, max(through) FROM {name} "  # noqa: S608 - the hub's own
            f"WHERE tenant = '' AND time >= toDateTime({MARK}, 'UTC') GROUP BY time"
            for name in names
        )
        found = {(str(name), int(lane)): int(place) for name, lane, place in self._warehouse.query(text).rows}
        return {name: {lane: found.get((name, lane), 0) for lane in self._lanes} for name in names}


def _far(places: Mapping[int, int], furthest: Mapping[int, int]) -> bool:
    """Whether a rollup is far behind the others in a lane, which it may not have begun."""
    return any(top - max(places[lane], lane << LANE_BITS) > _FAR for lane, top in furthest.items())
