"""Gauges that are read when somebody asks for the metrics, and cost nothing until then."""

import inspect
from collections.abc import Callable, Mapping
from typing import Final, get_args

from broker.live import LiveFeed
from broker.log import Log
from core.metrics import Metrics
from hub.release import release
from query_api.health import Check
from streams.health import State
from streams.runner import Streams

_STATES: Final[tuple[str, ...]] = get_args(State)


def watch(
    metrics: Metrics, role: str, log: Log, live: LiveFeed, checks: Mapping[str, Check], streams: Streams | None
) -> None:
    """Have the metrics tell how the parts of this process are.

    Parameters
    ----------
    metrics
        Of the process.
    role, log, live, streams
        What runs here.
    checks
        Its parts' states, as readiness asks for them.
    """
    metrics.info.labels(release(), role).set(1)
    metrics.log_queued_bytes.set_function(lambda: getattr(log, "queued_bytes", 0))
    metrics.log_queue_limit_bytes.set(getattr(getattr(log, "config", None), "queue_bytes", 0))
    metrics.log_connections.set_function(lambda: getattr(log, "connections", 0))
    metrics.live_watchers.set_function(lambda: live.watchers)
    metrics.live_dropped.set_function(lambda: live.dropped)
    for name, check in checks.items():
        if not inspect.iscoroutinefunction(check):  # one that has to wait is left to /health/ready
            metrics.part_ok.labels(name).set_function(_good(check))
    if streams is not None:
        for state in _STATES:
            metrics.streams_state.labels(state).set_function(_is_in(streams, state))


def _good(check: Check) -> Callable[[], float]:
    """1 while a part is well."""

    def ask() -> float:
        found = check()
        return float(found is None or inspect.isawaitable(found) or found.ok)

    return ask


def _is_in(streams: Streams, state: str) -> Callable[[], float]:
    return lambda: float(streams.check().state == state)
