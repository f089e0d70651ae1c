"""Notices when records wait and nothing moves."""


class Stalls:
    """Partitions whose place has not moved for too long although records wait behind it.

    Consumers have been seen to stop fetching after a rebalance without any error: only the lag tells. Times are
    seconds of a monotonic clock; partitions have the names of :func:`broker.topics.place_name`.

    Parameters
    ----------
    patience_s
        How long a place may stay where it is.

    Examples
    --------
    >>> stalls = Stalls(60.0)
    >>> stalls.look("3", place=10, end=20, now=0.0)
    >>> stalls.look("3", place=10, end=25, now=60.0)
    >>> stalls.found(now=60.0)
    ['3']
    >>> stalls.look("3", place=11, end=25, now=61.0)
    >>> stalls.found(now=61.0)
    []
    """

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, partition: str, place: int, end: int, now: float) -> None:
        """A partition is at ``place``, the log at ``end``."""
        known = self._seen.get(partition)
        if known is None or place >= end or place != known[0]:
            self._seen[partition] = (place, now)

    def excuse(self, *partitions: str) -> None:
        """What has been seen of these, or of all of them, counts no more: what they wait for is known."""
        for partition in partitions or list(self._seen):
            self._seen.pop(partition, None)

    def found(self, now: float) -> list[str]:
        """The partitions that do not move."""
        return sorted(name for name, (_, since) in self._seen.items() if now - since >= self.patience_s)
