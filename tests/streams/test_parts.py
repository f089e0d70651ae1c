"""Small parts: live feed, unpriced models, watermark, metrics, sums by model."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from broker.live import LiveFeed
from broker.log import Record
from core.metrics import Metrics
from storage.warehouse.writer import Block
from streams.columnar import group
from streams.handler import aside_error, rows_of
from streams.prices import unpriced as unpriced_module
from streams.prices.unpriced import Unpriced, UnpricedModels
from streams.publish import metric_records
from streams.steps.aggregate import aggregate
from streams.steps.decode import Rejected
from streams.steps.pulse import pulse
from streams.watermark import Watermark
from tests.streams.blocks import START, make_table

NOW = datetime(2026, 11, 20, tzinfo=UTC)


class TestLiveFeed:
    async def test_only_the_tenants_own(self) -> None:
        feed = LiveFeed()
        with feed.subscribe("a") as mine, feed.subscribe("b") as other:
            assert feed.tenants == {"a", "b"}
            feed.publish("a", [{"n": 1}])
            feed.close()
            assert [point async for point in mine] == [{"n": 1}]
            assert [point async for point in other] == []
        assert feed.tenants == frozenset()

    async def test_who_is_slow_loses_the_oldest(self) -> None:
        feed = LiveFeed(size=3)
        slow = feed.subscribe("a")
        feed.publish("a", [{"n": n} for n in range(2)])
        feed.publish("a", [{"n": n} for n in range(2, 5)])
        slow.close()
        assert [point["n"] async for point in slow] == [2, 3, 4]
        assert (slow.dropped, feed.dropped) == (2, 2)

    async def test_nobody_watches(self) -> None:
        LiveFeed().publish("a", [{"n": 1}])


class TestUnpricedModels:
    def test_counts_and_times(self) -> None:
        models = UnpricedModels()
        models.add([Unpriced("a", "p", "m", "no_price", 2)], NOW)
        models.add(
            [Unpriced("a", "p", "m", "no_price", 3), Unpriced("b", "p", "m", "no_usage", 1)], NOW.replace(day=21)
        )
        models.forget("nobody")
        (model,) = models.of("a")
        assert (model.calls, model.first_seen.day, model.last_seen.day) == (5, 20, 21)
        models.forget("a")
        assert (models.of("a"), len(models.of("b"))) == ([], 1)

    def test_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(unpriced_module, "_MOST_MODELS", 2)
        models = UnpricedModels()
        models.add([Unpriced("a", "p", str(n), "no_price", 1) for n in range(5)], NOW)
        assert len(models.of("a")) == 2
        assert models.beyond == 3


class TestWatermark:
    def test_lowest_of_all_partitions(self) -> None:
        watermark = Watermark(range(2))
        assert watermark("a") is None
        watermark.stored("0", int(NOW.timestamp() * 1000))
        assert watermark("a") is None
        watermark.drained("1", NOW + timedelta(seconds=5))
        assert watermark("a") == NOW
        watermark.drained("0", NOW + timedelta(seconds=9))
        assert watermark("a") == NOW + timedelta(seconds=5)

    def test_never_goes_back(self) -> None:
        watermark = Watermark([0])
        watermark.drained("0", NOW)
        watermark.stored("0", 0)
        assert watermark.of("0") == NOW

    def test_mirrors_do_not_hold_it_back(self) -> None:
        watermark = Watermark(range(1))
        watermark.drained("0", NOW)
        watermark.stored("eu.0", 0)
        assert watermark("a") == NOW
        assert watermark.of("eu.0") == datetime.fromtimestamp(0, UTC)


def test_labels_are_bounded() -> None:
    metrics = Metrics()
    values = {metrics.bounded("model", str(number)) for number in range(1000)}
    assert len(values) == 201
    assert metrics.bounded("model", "7") == "7"
    assert metrics.bounded("model", "999") == "other"


@pytest.mark.parametrize(
    ("headers", "rows"), [((), 1), ((("rows", b"12"),), 12), ((("rows", b"x"),), 1), ((("a", b"1"), ("rows", b"3")), 3)]
)
def test_rows_of_a_record(headers: Any, rows: int) -> None:
    assert rows_of(Record("t", 0, 0, None, b"", headers, 0)) == rows


def test_what_is_said_when_putting_aside_does_not_help() -> None:
    assert "only together" in str(aside_error([]))
    assert "odd" in str(aside_error([Rejected(0, "odd")]))


def test_pulse_by_second_and_tenant() -> None:
    rows = [
        {"tenant": tenant, "received_at": START + timedelta(seconds=second), "input_tokens": 5, "duration_ms": 2.0}
        for tenant, second in [("a", 1), ("b", 0), ("a", 0), ("a", 1)]
    ]
    points = pulse(make_table(rows), {"a", "c"})
    assert list(points) == ["a"]
    assert [(p["time"], p["requests"], p["input_tokens"], p["duration_ms_sum"]) for p in points["a"]] == [
        ("2026-11-20T12:00:00Z", 1, 5, 2.0),
        ("2026-11-20T12:00:01Z", 2, 10, 4.0),
    ]
    assert pulse(make_table(rows), {"c"}) == {}


def test_series_keep_their_partition() -> None:
    table = aggregate(make_table([{"model": str(number)} for number in range(50)]))
    block = Block("hub.events", 1, 5, 9, table)
    records = metric_records(table, block, 4)
    assert {record.partition for record in records} == {0, 1, 2, 3}
    assert sum(int(dict(record.headers)["rows"]) for record in records) == 50


def test_groups_of_many_values() -> None:
    rng = np.random.default_rng(1)
    columns = [rng.integers(0, 1 << 40, 500), rng.integers(0, 3, 500), rng.integers(0, 1 << 40, 500)]
    columns = [np.concatenate([column, column]) for column in columns]
    groups = group(columns, [1 << 40, 3, 1 << 40])
    assert len(groups) == 500
    assert (groups.ids[:500] == groups.ids[500:]).all()
