"""Keeps accepted events from leaving the log before they are stored: a broker drops what is old, processed or not."""

from collections.abc import Callable
from datetime import datetime, timedelta

from core.clock import Clock
from core.errors import SlowDown
from core.metrics import Metrics
from query_api.health import Finding


class Backlog:
    """Refuses more events while what waits in the log has used up half of the time that the log keeps it.

    The embedded log keeps what is not processed whatever its limits say, so only a log on Kafka needs this.

    Parameters
    ----------
    watermark
        Up to when everything is stored; None while that is not known.
    kept
        How long the log keeps a record.
    clock
        The time now.
    metrics
        Where refusals are counted.
    """

    def __init__(
        self,
        watermark: Callable[[str], datetime | None],
        kept: timedelta,
        clock: Clock,
        metrics: Metrics | None = None,
    ) -> None:
        self._watermark, self._limit, self._clock = watermark, kept / 2, clock
        self._metrics = metrics or Metrics()

    def check(self) -> Finding:
        """Whether there is time enough left. Never a failure: questions are answered, and wanted, all the more."""
        waiting = self._waiting()
        if waiting <= self._limit:
            return Finding(True, "running")
        return Finding(
            True,
            "too long",
            f"events have waited for {waiting.total_seconds() / 3600:.1f} h in the log, which keeps them for "
            f"{2 * self._limit.total_seconds() / 3600:.1f} h: see why the streams do not store them, or add workers",
        )

    def admit(self) -> None:
        """Raise :class:`SlowDown` when more events might be lost."""
        if self._waiting() > self._limit:
            self._metrics.ingest_refused.labels("backlog").inc()
            raise SlowDown(
                "the streams are too far behind; nothing more is taken in until they catch up", retry_after=60
            )

    def _waiting(self) -> timedelta:
        seen = self._watermark("")
        return timedelta(0) if seen is None else self._clock.now() - seen
