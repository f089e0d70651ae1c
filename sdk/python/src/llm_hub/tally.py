"""What has come of the events: counted, by reason, and told."""

import threading
from collections import Counter
from typing import Any


class Tally:
    """Counters of one client in one process.

    :meth:`drop` may be called from any thread, also from one that is interrupted in it (a signal handler, a finaliser
    run by the collector): the lock is re-entrant. The rest belongs to the background thread.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._dropped: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self.accepted = 0
        self.duplicates = 0
        self.requests = 0
        self.retries = 0
        self.in_flight = 0

    def drop(self, reason: str, count: int = 1) -> None:
        """``count`` events will never be at the hub."""
        if count:
            with self._lock:
                self._dropped[reason] += count

    def unreported(self) -> Counter[str]:
        """Drops that the hub does not know of yet."""
        with self._lock:
            return self._dropped - self._reported

    def reported(self, drops: Counter[str]) -> None:
        """The hub knows of ``drops`` now."""
        self._reported += drops

    def dropped(self) -> dict[str, int]:
        """Drops by reason."""
        with self._lock:
            return dict(self._dropped)

    def stats(self) -> dict[str, Any]:
        """A copy of all counters."""
        return {
            "accepted": self.accepted,
            "duplicates": self.duplicates,
            "in_flight": self.in_flight,
            "requests": self.requests,
            "retries": self.retries,
            "dropped": self.dropped(),
        }
