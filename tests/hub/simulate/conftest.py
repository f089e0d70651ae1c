"""Simulations that several tests look at, made once."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from hub.simulate import Event, Simulation, SimulationConfig

START = datetime(2026, 11, 2, 9, tzinfo=UTC)


@cache
def simulated(scenario: str = "calm", seed: int = 7, rate: float = 60, minutes: float = 10) -> tuple[Event, ...]:
    config = SimulationConfig(
        seed=seed, rate=rate, start=START, duration=timedelta(minutes=minutes), scenario=scenario, rhythm=False
    )
    return tuple(event for batch in Simulation(config).batches(5000) for event in batch.events)


@pytest.fixture(scope="session")
def simulate_events() -> Callable[..., tuple[Event, ...]]:
    return simulated


@pytest.fixture(scope="session")
def calm() -> tuple[Event, ...]:
    return simulated()


@pytest.fixture(scope="session")
def traces(calm: tuple[Event, ...]) -> dict[str, list[Event]]:
    """Events of whole traces by trace id."""
    by_id: dict[str, list[Any]] = {}
    for event in calm:
        if "trace_id" in event:
            by_id.setdefault(event["trace_id"], []).append(event)
    # Traces under way at the end are cut off there, as those of a real hub are.
    return {id_: events for id_, events in by_id.items() if any(is_root(event) for event in events)}


def is_root(event: Event) -> bool:
    return "span_id" in event and "parent_span_id" not in event
