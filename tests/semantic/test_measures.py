"""Every measure against a naive computation, over raw events and over rollups."""

from collections import defaultdict
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from core.clock import ManualClock
from semantic.answer import Answer
from semantic.layer import SemanticLayer, Surroundings
from semantic.measures import MEASURES
from semantic.question import Question
from semantic.sources import warehouse_sources
from storage.warehouse.client import Warehouse
from storage.warehouse.roller import Roller
from tests.semantic.naive import NAIVE
from tests.semantic.rows import NOW, Event

ALL = [measure.name for measure in MEASURES]
PERCENTILES = [name for name in ALL if "_p" in name and name.rsplit("_p", 1)[1].isdigit()]
EXACT = [name for name in ALL if name not in PERCENTILES]
DIMENSIONS = [
    ["model"],
    ["type"],
    ["user_id"],
    ["environment", "project"],
    ["attributes.region"],
    ["tool_name"],
    ["status", "error_class"],
    ["feature"],
    ["judge_model"],
    ["cache_hit"],
    ["trace_id"],
]
RANGES = {
    "ragged three days": (NOW - timedelta(days=3), NOW),
    "an hour": (NOW - timedelta(hours=1), NOW),
    "odd seconds": (NOW - timedelta(hours=7, seconds=13.37), NOW - timedelta(minutes=3, microseconds=1)),
    "aligned": (datetime.fromisoformat("2026-11-20T06:00:00Z"), datetime.fromisoformat("2026-11-20T11:00:00Z")),
    "a few seconds": (NOW - timedelta(seconds=17), NOW),
    "nothing": (NOW - timedelta(days=30), NOW - timedelta(days=29)),
    "empty": (NOW, NOW),
}


def question(names: list[str], span: tuple[datetime, datetime], **more: Any) -> Question:
    time = {"from": span[0].isoformat(), "to": span[1].isoformat()}
    return Question.model_validate({"measures": names, "time": time, **more})


async def ask_all(layer: SemanticLayer, names: list[str], span: tuple[datetime, datetime], **more: Any) -> list[Answer]:
    parts = [names[at : at + 20] for at in range(0, len(names), 20)]
    return [await layer.ask("acme", question(part, span, **more)) for part in parts]


def within(events: list[Event], span: tuple[datetime, datetime]) -> list[Event]:
    return [event for event in events if span[0] <= event["time"] < span[1]]


def test_every_measure_has_a_naive_one() -> None:
    assert sorted(NAIVE) == sorted(ALL)


@pytest.mark.parametrize("span", RANGES.values(), ids=RANGES.keys())
@pytest.mark.parametrize("over", ["rollups", "raw"])
async def test_measures(
    over: str,
    span: tuple[datetime, datetime],
    events: list[Event],
    layer: SemanticLayer,
    raw_layer: SemanticLayer,
) -> None:
    layer = layer if over == "rollups" else raw_layer
    rows = within(events, span)
    for answer in await ask_all(layer, ALL, span):
        assert len(answer.rows) == 1
        for column, value in zip(answer.columns, answer.rows[0], strict=True):
            wanted = NAIVE[column.name](rows)
            tolerance = 0.011 if column.name in PERCENTILES else 1e-4
            assert value == (wanted if wanted is None else pytest.approx(wanted, rel=tolerance, abs=1e-9)), column.name


@pytest.mark.parametrize("by", DIMENSIONS, ids=",".join)
@pytest.mark.parametrize("span", list(RANGES.values())[:3])
async def test_raw_and_rollups_agree(
    by: list[str], span: tuple[datetime, datetime], layer: SemanticLayer, raw_layer: SemanticLayer
) -> None:
    for names in (["requests", "errors", "cost_usd", "total_tokens"], ALL[:20], ALL[20:40], ALL[40:]):
        asked = question(names, span, dimensions=by)
        one, other = await layer.ask("acme", asked), await raw_layer.ask("acme", asked)
        assert len(one.rows) == len(other.rows)
        for left, right in zip(one.rows, other.rows, strict=True):
            assert left[: len(by)] == right[: len(by)]
            for value, wanted in zip(left[len(by) :], right[len(by) :], strict=True):
                assert value == (wanted if wanted is None else pytest.approx(wanted, rel=1e-6))


async def test_grouping_is_the_naive_grouping(layer: SemanticLayer, events: list[Event]) -> None:
    span = RANGES["odd seconds"]
    groups: dict[tuple[str | None, str | None], list[Event]] = defaultdict(list)
    for event in within(events, span):
        groups[event.get("model"), event.get("environment")].append(event)
    answer = await layer.ask("acme", question(["events", "total_tokens"], span, dimensions=["model", "environment"]))
    assert {(row[0], row[1]): row[2:] for row in answer.rows} == {
        key: [len(rows), NAIVE["total_tokens"](rows)] for key, rows in groups.items()
    }


async def test_known_marks_give_the_same(warehouse: Warehouse, layer: SemanticLayer, clock: ManualClock) -> None:
    roller = Roller(warehouse, clock)
    roller.resume(0, complete=True)
    surroundings = Surroundings(level=partial(roller.level, (0,)), holds=roller.holds)
    knowing = SemanticLayer(warehouse, warehouse_sources(), clock, surroundings=surroundings)
    assert roller.level([0]).marks
    for dimension in (None, "model", "user_id"):
        given = {"measures": ["events", "requests", "cost_usd"], "time": {"from": "now-7d", "to": "now"}}
        question = Question.model_validate(given | ({"dimensions": [dimension]} if dimension else {}))
        assert (await knowing.ask("acme", question)).rows == (await layer.ask("acme", question)).rows
    await knowing.stop()


async def test_rollups_are_used(layer: SemanticLayer) -> None:
    assert (await layer.ask("acme", question(["requests"], RANGES["ragged three days"]))).meta["source"] == (
        "rollup_total_1h+rollup_models_1m+rollup_10s+events"
    )
    users = await layer.ask("acme", question(["cost_usd"], RANGES["aligned"], dimensions=["user_id"]))
    assert users.meta["source"] == "rollup_users_1h"
    raw = await layer.ask("acme", question(["requests"], RANGES["aligned"], dimensions=["feature"]))
    assert raw.meta["source"] == "events"
