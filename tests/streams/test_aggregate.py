"""Aggregates merge: those of parts, merged, are those of the whole."""

import json
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.prices.table import PriceTable
from streams.steps.aggregate import DIMENSIONS, SCHEMA, aggregate, merge, series_hash
from streams.steps.price import price
from streams.steps.sketch import Sketch, bucket_of, quantile
from tests.streams.blocks import START, make_table

_PRICES = PriceTable()

_rows = st.lists(
    st.fixed_dictionaries(
        {
            "tenant": st.sampled_from(["acme", "umbrella"]),
            "type": st.sampled_from(["llm.request", "span"]),
            "project": st.sampled_from([None, "", "bot"]),
            "model": st.sampled_from([None, "gpt-4o", "acme-7"]),
            "status": st.sampled_from(["ok", "error"]),
            "duration_ms": st.none() | st.floats(0, 1e6, allow_nan=False),
            "input_tokens": st.none() | st.integers(0, 2**31),
            "output_tokens": st.none() | st.integers(0, 2**20),
            "time": st.integers(0, 60).map(lambda second: START + timedelta(seconds=second)),
        }
    ),
    min_size=1,
    max_size=60,
)


def _rows_of(table: pa.Table) -> dict[Any, dict[str, Any]]:
    return {(row["series"], row["window"]): row for row in table.to_pylist()}


@settings(deadline=None, max_examples=60)
@given(rows=_rows, cut=st.integers(0, 60))
def test_merged_parts_are_the_whole(rows: list[dict[str, Any]], cut: int) -> None:
    table = price(make_table(rows), _PRICES).table
    whole = _rows_of(aggregate(table))
    parts = _rows_of(merge([aggregate(table.slice(0, cut)), aggregate(table.slice(cut))]))
    assert whole.keys() == parts.keys()
    for key, row in whole.items():
        for name, value in row.items():
            assert parts[key][name] == (pytest.approx(value) if name in ("duration_sum", "duration_sumsq") else value)


@settings(deadline=None, max_examples=40)
@given(_rows)
def test_equals_a_naive_sum(rows: list[dict[str, Any]]) -> None:
    table = price(make_table(rows), _PRICES).table
    count: dict[Any, int] = defaultdict(int)
    cost: dict[Any, Decimal] = defaultdict(Decimal)
    for row in table.to_pylist():
        window = row["time"].replace(second=row["time"].second // 10 * 10, microsecond=0)
        key = (*(row.get(name) for name in DIMENSIONS), window)
        count[key] += 1
        cost[key] += row.get("cost_usd") or 0
    got = aggregate(table).to_pylist()
    assert {(*(row[name] for name in DIMENSIONS), row["window"]): row["count"] for row in got} == count
    assert {(*(row[name] for name in DIMENSIONS), row["window"]): row["cost_usd"] for row in got} == cost


def test_what_is_in_a_row() -> None:
    calls = [
        {"model": "gpt-4o", "provider": "openai", "input_tokens": 1000, "output_tokens": 100, "duration_ms": 100.0}
    ]
    rows = [*calls * 3, {"model": "gpt-4o", "provider": "openai", "status": "error", "duration_ms": 900.0}]
    (row,) = aggregate(price(make_table(rows), _PRICES).table).to_pylist()
    assert (row["count"], row["errors"], row["input_tokens"], row["unpriced"]) == (4, 1, 3000, 0)
    assert (row["duration_count"], row["duration_sum"], row["duration_sumsq"]) == (4, 1200.0, 840000.0)
    assert (row["duration_min"], row["duration_max"], row["cost_usd"]) == (100.0, 900.0, Decimal("0.0105"))
    assert row["duration_counts"] == [3, 1]
    assert row["series"] == series_hash(("acme", "llm.request", None, None, "gpt-4o"))


def test_sums_of_money_are_exact() -> None:
    rows = [{"type": "evaluation.score", "name": "e", "cost_usd": 9_999_999.9999999} for _ in range(50)]
    (row,) = aggregate(price(make_table(rows), _PRICES).table).to_pylist()
    (one,) = aggregate(price(make_table(rows[:1]), _PRICES).table).to_pylist()
    assert row["cost_usd"] == 50 * one["cost_usd"]


def test_empty_block() -> None:
    empty = aggregate(make_table([{}]).slice(0, 0))
    assert empty.num_rows == 0
    assert empty.schema == SCHEMA
    assert merge([empty, empty]).num_rows == 0


def test_null_and_empty_text_are_different_series() -> None:
    assert len({series_hash((value, "b")) for value in (None, "")}) == 2


@given(st.lists(st.floats(1e-3, 1e9), min_size=1, max_size=300), st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_quantiles_are_within_one_percent(values: list[float], q: float) -> None:
    data = np.array(values)
    sketch = Sketch(np.zeros(len(data), np.int64), bucket_of(data), np.ones(len(data), np.int64)).by(np.array([0]))
    exact = float(np.quantile(data, q, method="lower"))
    assert quantile(sketch.buckets, sketch.counts, q) == pytest.approx(exact, rel=0.0101)


def test_quantile_of_nothing() -> None:
    assert np.isnan(quantile(np.array([], np.int64), np.array([], np.int64), 0.5))


def test_survives_the_wire() -> None:
    table = aggregate(make_table([{"duration_ms": 4.0, "data": json.dumps({})}]))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert pa.ipc.open_stream(sink.getvalue()).read_all().equals(table)
