"""Up to when everything is visible."""

from collections.abc import Iterable
from datetime import UTC, datetime


class Watermark:
    """The moment up to which everything that was accepted can be found by a question.

    A partition's watermark is the append of its last stored record, or, when nothing waits in it, the moment at which
    that was seen. That of the hub is the lowest of all its own partitions: those that are mirrored from other regions
    are followed too, but do not hold it back. Written and read on any thread.

    Parameters
    ----------
    partitions
        The hub's own.
    """

    def __init__(self, partitions: Iterable[int]) -> None:
        self._own = [str(partition) for partition in partitions]
        self._visible: dict[str, datetime] = {}

    def __call__(self, tenant: str) -> datetime | None:  # noqa: ARG002 - partitions mix tenants: theirs is everybody's
        """The watermark of a tenant; None as long as a partition has not been looked at."""
        lowest: datetime | None = None
        for name in self._own:
            if (moment := self._visible.get(name)) is None:
                return None
            lowest = moment if lowest is None else min(lowest, moment)
        return lowest

    def of(self, partition: str) -> datetime | None:
        """The watermark of one partition, by its :func:`broker.topics.place_name`."""
        return self._visible.get(partition)

    def stored(self, partition: str, timestamp_ms: int) -> None:
        """Everything up to a record appended at this time is stored."""
        self._raise_to(partition, datetime.fromtimestamp(timestamp_ms / 1000, UTC))

    def drained(self, partition: str, seen_at: datetime) -> None:
        """At this moment nothing waited."""
        self._raise_to(partition, seen_at)

    def _raise_to(self, partition: str, moment: datetime) -> None:
        known = self._visible.get(partition)
        self._visible[partition] = moment if known is None else max(known, moment)
