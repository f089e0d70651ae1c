"""The layer: one flight for equal questions, short memory, turns, blame, currency, comparison."""

import asyncio
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import HubError, Retryable, SlowDown, TooManyRequests, Unprocessable
from semantic.answer import plain
from semantic.cache import PastCache, Writes
from semantic.layer import LayerConfig, SemanticLayer, Surroundings
from semantic.question import Question
from semantic.sources import warehouse_sources
from storage.warehouse.client import Warehouse
from storage.warehouse.roller import Level
from storage.warehouse.rows import Rows
from tests.semantic.naive import NAIVE
from tests.semantic.rows import NOW, Event

COUNT = Question.model_validate({"measures": ["events"]})


class Engine:
    """Counts what it is asked; waits while it is held."""

    def __init__(self) -> None:
        self.asked = 0
        self.free = threading.Event()
        self.free.set()
        self.error: HubError | None = None
        self.settings: dict[str, Any] = {}
        self.sql = ""

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Any = None) -> Rows:
        self.asked += 1
        self.settings, self.sql = settings, sql
        assert self.free.wait(10)
        if self.error:
            raise self.error
        return Rows(("m0",), ("UInt64",), [(self.asked,)], 1, 0.0)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def made(engine: Engine, clock: ManualClock, **given: Any) -> SemanticLayer:
    config = given.pop("config", LayerConfig())
    return SemanticLayer(engine, warehouse_sources(), clock, config, Surroundings(**given))


@pytest.mark.parametrize(("threads", "filters", "wanted"), [(1, [], 1), (0, [], None), (1, ["prompt_id"], None)])
async def test_threads_of_a_question_that_rollups_answer(
    engine: Engine, clock: ManualClock, threads: int, filters: list[str], wanted: int | None
) -> None:
    layer = made(engine, clock, config=LayerConfig(threads=threads))
    given = [{"field": name, "op": "eq", "values": ["x"]} for name in filters]
    await layer.ask("acme", Question.model_validate({"measures": ["events"], "filters": given}))
    assert engine.settings.get("max_threads") == wanted
    await layer.stop()


async def test_equal_questions_fly_once(engine: Engine, clock: ManualClock) -> None:
    layer = made(engine, clock)
    engine.free.clear()
    asking = [asyncio.create_task(layer.ask("acme", COUNT)) for _ in range(5)]
    other = asyncio.create_task(layer.ask("rival", COUNT))
    await asyncio.sleep(0)
    engine.free.set()
    assert len({id(await task) for task in asking}) == 1
    await other
    assert engine.asked == 2
    await layer.stop()


async def test_memory_is_short_and_ends_with_a_write(engine: Engine, clock: ManualClock) -> None:
    writes = Writes()
    layer = made(engine, clock, writes=writes)
    first = await layer.ask("acme", COUNT)
    clock.advance(0.9)
    assert await layer.ask("acme", COUNT) is first
    writes.note(NOW)
    assert await layer.ask("acme", COUNT) is not first
    clock.advance(1.1)
    await layer.ask("acme", COUNT)
    assert engine.asked == 3
    await layer.stop()


async def test_what_is_over_is_read_again_only_after_a_late_event(engine: Engine, clock: ManualClock) -> None:
    writes = Writes()
    layer = made(engine, clock, writes=writes, level=lambda: Level(None), config=LayerConfig(keep_seconds=0))
    compared = Question.model_validate(
        {"measures": ["events"], "time": {"from": "now-1h", "to": "now"}, "compare": "previous_period"}
    )
    asked = []
    for note in (None, NOW, NOW - timedelta(minutes=90), None):
        if note is not None:
            writes.note(note)
        before = engine.asked
        await layer.ask("acme", compared)
        asked.append(engine.asked - before)
    assert asked == [2, 1, 2, 1], "both periods, the present one, both after a late event, the present one"
    await layer.ask("rival", compared)
    assert engine.asked == 8, "another tenant's is another's"
    await layer.stop()


@pytest.mark.parametrize("moved", [False, True])
async def test_known_marks_are_used_unless_a_fold_came_between(
    engine: Engine, clock: ManualClock, *, moved: bool
) -> None:
    level = Level(NOW - timedelta(seconds=5), {"rollup_models_1m": {0: 77}}, version=4)
    layer = made(engine, clock, level=lambda: level, holds=lambda _: not moved)
    question = Question.model_validate({"measures": ["events"], "time": {"from": "now-1h", "to": "now"}})
    await layer.ask("acme", question)
    assert engine.asked == 1 + moved
    assert ("max(through)" in engine.sql) == moved
    past = Question.model_validate({"measures": ["events"], "time": {"from": "now-2h/h", "to": "now-1h/h"}})
    await layer.ask("acme", past)
    assert "events WHERE" not in engine.sql, "nothing behind is so old"
    assert engine.asked == 2 + moved
    await layer.stop()


async def test_the_past_is_kept_for_a_while_and_a_few(clock: ManualClock) -> None:
    writes = Writes()
    past: PastCache[int] = PastCache(writes, clock, size=2, seconds=60)
    read: list[str] = []

    async def get(key: str) -> int:
        async def compute() -> int:
            read.append(key)
            return len(read)

        return await past.get(key, NOW, compute)

    assert [await get(key) for key in "aab"] == [1, 1, 2]
    assert [await get(key) for key in "cba"] == [3, 2, 4], "the one asked for longest ago is gone"
    clock.advance(61)
    assert await get("b") == 5
    for _ in range(5000):
        writes.note(NOW)
    assert await get("b") == 6, "more writes than are remembered"


async def test_memory_is_bounded(engine: Engine, clock: ManualClock) -> None:
    layer = made(engine, clock, config=LayerConfig(kept=2))
    for tenant in ("a", "b", "c", "a"):
        await layer.ask(tenant, COUNT)
    assert engine.asked == 4
    await layer.stop()


async def test_errors_are_not_remembered(engine: Engine, clock: ManualClock) -> None:
    layer = made(engine, clock)
    engine.error = Retryable("down", code=210)
    with pytest.raises(Retryable):
        await layer.ask("acme", COUNT)
    engine.error = None
    await layer.ask("acme", COUNT)
    await layer.stop()


@pytest.mark.parametrize("code", [427, 159, 241])
async def test_the_questions_own_fault(engine: Engine, clock: ManualClock, code: int) -> None:
    layer = made(engine, clock)
    engine.error = Retryable("?", code=code)
    with pytest.raises(Unprocessable):
        await layer.ask("acme", COUNT)
    await layer.stop()


async def test_a_tenant_has_so_many_turns(engine: Engine, clock: ManualClock) -> None:
    layer = made(engine, clock, config=LayerConfig(per_tenant=1, waiting=1, total=3))
    engine.free.clear()
    questions = [Question.model_validate({"measures": ["events"], "limit": limit}) for limit in (1, 2, 3)]
    running = [asyncio.create_task(layer.ask("acme", question)) for question in questions[:2]]
    await asyncio.sleep(0.01)
    with pytest.raises(TooManyRequests):
        await layer.ask("acme", questions[2])
    running.append(asyncio.create_task(layer.ask("rival", COUNT)))
    await asyncio.sleep(0.01)
    with pytest.raises(SlowDown):
        await layer.ask("third", COUNT)
    engine.free.set()
    await asyncio.gather(*running)
    await layer.ask("acme", questions[2])
    await layer.stop()


async def test_watermark(engine: Engine, clock: ManualClock) -> None:
    layer = made(engine, clock, watermark=lambda _: datetime(2026, 11, 20, tzinfo=UTC))
    assert (await layer.ask("acme", COUNT)).meta["watermark"] == "2026-11-20T00:00:00Z"
    await layer.stop()


async def test_currency(warehouse: Warehouse, clock: ManualClock, events: list[Event]) -> None:
    layer = SemanticLayer(
        warehouse, warehouse_sources(), clock, surroundings=Surroundings(rates=lambda _: {"EUR": 0.5})
    )
    question = {"measures": ["cost_usd", "events"], "time": {"from": "now-4d"}, "currency": "EUR"}
    answer = await layer.ask("acme", Question.model_validate(question))
    assert [column.unit for column in answer.columns] == ["EUR", "events"]
    cost = NAIVE["cost_usd"](events)
    assert cost is not None
    assert answer.rows[0] == [pytest.approx(cost / 2), len(events)]
    with pytest.raises(Unprocessable):
        await layer.ask("acme", Question.model_validate(question | {"currency": "CHF"}))
    await layer.stop()


async def test_previous_period(layer: SemanticLayer, events: list[Event]) -> None:
    question = {"measures": ["events"], "dimensions": ["model"], "compare": "previous_period"}
    answer = await layer.ask("acme", Question.model_validate(question))

    def count(model: str | None, hours: int) -> int:
        start, end = (datetime.fromisoformat(answer.meta[name]) for name in ("from", "to"))
        before = (end - start) * hours
        return sum(start <= row["time"] + before < end and row.get("model") == model for row in events)

    assert answer.columns[-1].name == "events__previous"
    assert {row[0]: row[1:] for row in answer.rows} == {
        row[0]: [count(row[0], 0), count(row[0], 1)] for row in answer.rows
    }


@pytest.mark.parametrize(
    ("start", "end", "width"),
    [("now-5m", "now", 0), ("now-15m", "now", 10), ("now-6h", "now", 60), ("now-7d", "now", 3600)],
)
async def test_moving_ends_are_cut_to_buckets(layer: SemanticLayer, start: str, end: str, width: int) -> None:
    asked = Question.model_validate({"measures": ["events"], "time": {"from": start, "to": end}})
    meta = (await layer.ask("acme", asked)).meta
    low, high = datetime.fromisoformat(meta["from"]), datetime.fromisoformat(meta["to"])
    if not width:
        assert high == NOW
        return
    assert low.timestamp() % width == high.timestamp() % width == 0
    assert NOW <= high < NOW + timedelta(seconds=width)
    rounded = Question.model_validate({"measures": ["events"], "time": {"from": "now-7d/d", "to": "now-1h"}})
    assert (await layer.ask("acme", rounded)).meta["to"].startswith((NOW - timedelta(hours=1)).isoformat()[:19])


async def test_series_are_chosen_over_the_whole_range(layer: SemanticLayer, events: list[Event]) -> None:
    question = {
        "measures": ["events"],
        "dimensions": ["user_id"],
        "granularity": "6h",
        "time": {"from": "now-3d"},
        "filters": [{"field": "user_id", "op": "exists"}],
        "limit": 3,
    }
    answer = await layer.ask("acme", Question.model_validate(question))
    counts: dict[str, int] = {}
    for row in events:
        if "user_id" in row:
            counts[row["user_id"]] = counts.get(row["user_id"], 0) + 1
    best = sorted(counts, key=lambda user: (-counts[user], user))[:3]
    assert sorted({row[1] for row in answer.rows}) == sorted(best)
    assert len(answer.rows) == 3 * len({row[0] for row in answer.rows})
    assert [row[:2] for row in answer.rows] == sorted(row[:2] for row in answer.rows)
    assert sum(row[2] for row in answer.rows) == sum(counts[user] for user in best)


async def test_nullable_series(layer: SemanticLayer) -> None:
    question = {"measures": ["events"], "dimensions": ["cache_hit"], "granularity": "1d", "limit": 3}
    answer = await layer.ask("acme", Question.model_validate(question | {"time": {"from": "now-3d"}}))
    assert {row[1] for row in answer.rows} == {None, False, True}


async def test_too_many_series_are_cut(layer: SemanticLayer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semantic.compile.MAX_ROWS", 40)
    monkeypatch.setattr("semantic.layer.MAX_ROWS", 40)
    question = {"measures": ["events"], "dimensions": ["user_id"], "granularity": "1d", "time": {"from": "now-3d"}}
    answer = await layer.ask("acme", Question.model_validate(question))
    assert answer.meta["truncated"]
    assert 0 < len(answer.rows) <= 40


async def test_empty_buckets(layer: SemanticLayer) -> None:
    question = {
        "measures": ["requests", "latency_p95"],
        "granularity": "1h",
        "time": {"from": "now-31d", "to": "now-30d"},
    }
    answer = await layer.ask("acme", Question.model_validate(question))
    assert len(answer.rows) == 25
    assert {tuple(row[1:]) for row in answer.rows} == {(0, None)}


def test_plain_values() -> None:
    assert plain(float("nan")) is None
    assert plain(datetime(2026, 1, 1)) == "2026-01-01T00:00:00Z"  # noqa: DTZ001
    assert plain("x") == "x"
