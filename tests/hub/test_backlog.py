"""The doors close before a broker drops what is not stored yet."""

from datetime import UTC, datetime, timedelta

import pytest

from core.clock import ManualClock
from core.errors import SlowDown
from core.metrics import Metrics
from hub.backlog import Backlog

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def test_half_of_the_time_is_for_catching_up() -> None:
    clock, seen = ManualClock(NOW), [NOW]
    metrics = Metrics()
    backlog = Backlog(lambda _: seen[0], timedelta(hours=72), clock, metrics)
    clock.advance(36 * 3600)
    backlog.admit()
    assert backlog.check().state == "running"
    clock.advance(1)
    with pytest.raises(SlowDown, match="too far behind") as error:
        backlog.admit()
    assert error.value.headers["Retry-After"] == "60"
    assert metrics.registry.get_sample_value("llm_hub_ingest_refused_total", {"reason": "backlog"}) == 1
    found = backlog.check()
    assert (found.ok, found.state) == (True, "too long")  # questions are still answered
    assert "waited for 36.0 h in the log, which keeps them for 72.0 h" in found.detail
    seen[0] = clock.now()
    backlog.admit()


def test_what_is_not_known_closes_nothing() -> None:
    Backlog(lambda _: None, timedelta(hours=1), ManualClock(NOW)).admit()
