"""The rollups are brought up to date when it is due, and again after a failure."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import Retryable
from core.metrics import Metrics
from streams.rolling import FAILED_S, LOOK_S, Rolling


class _Folds:
    """A roller with a script: what is due at each look, and what a roll does."""

    def __init__(self, *outcomes: int | Exception) -> None:
        self.outcomes, self.rolls, self.behind = list(outcomes), 0, 7

    def due_in(self) -> float | None:
        return 0.0 if self.outcomes else None

    def rows_behind(self) -> int:
        return self.behind

    def roll(self) -> int:
        self.rolls += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        self.behind = 0
        return outcome


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the condition is in a thread's hands
            await asyncio.sleep(0.005)


def _value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"llm_hub_{name}")


async def test_rolls_when_it_is_due() -> None:
    folds, metrics, clock = _Folds(), Metrics(), ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    rolling = Rolling(folds, clock, metrics)
    await rolling.start()
    await _until(lambda: _value(metrics, "rollup_rows_behind") == 7)
    assert folds.rolls == 0
    folds.outcomes.append(7)
    clock.advance(LOOK_S)
    await _until(lambda: _value(metrics, "rollup_rows_behind") == 0)
    await rolling.stop()
    assert (folds.rolls, _value(metrics, "rollup_folds_total")) == (1, 7)


@pytest.mark.parametrize("error", [Retryable("down"), RuntimeError("unforeseen")])
async def test_a_failure_is_counted_and_tried_again(error: Exception) -> None:
    folds, metrics, clock = _Folds(error, 3), Metrics(), ManualClock(datetime(2026, 11, 20, tzinfo=UTC))
    rolling = Rolling(folds, clock, metrics)
    await rolling.start()
    await _until(lambda: _value(metrics, "rollup_failures_total") == 1)
    clock.advance(FAILED_S)
    await _until(lambda: _value(metrics, "rollup_folds_total") == 3)
    await rolling.stop()
    assert folds.rolls == 2


async def test_stops_without_having_started() -> None:
    await Rolling(_Folds(), ManualClock(datetime(2026, 11, 20, tzinfo=UTC)), Metrics()).stop()
