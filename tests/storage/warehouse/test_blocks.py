"""What goes in comes out: values of every kind, in every form that Arrow has for them."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.warehouse.blocks import ipc_block
from storage.warehouse.client import Warehouse
from tests.storage.warehouse.rows import NOW, TYPES, event, insert_and_roll, table

NAMES = [name for name in TYPES if name != "expires_at"]


def _stored(row: dict[str, Any]) -> dict[str, Any]:
    """A row as the warehouse answers it."""
    texts = {name: row[name] or "" for name in ("user_id", "model", "status", "cost_source")}
    return {**row, **texts, "id": uuid.UUID(bytes=row["id"]), "attributes": dict(row["attributes"])}


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_maybe = st.none() | _text
_rows = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.binary(min_size=16, max_size=16),
            "trace_id": st.binary(min_size=16, max_size=16),
            "time": st.integers(0, 10**14).map(lambda micros: NOW - timedelta(microseconds=micros)),
            "user_id": _maybe,
            "model": _maybe,
            "status": _maybe,
            "input_tokens": st.none() | st.integers(0, 2**32 - 1),
            "duration_ms": st.none() | st.floats(0, 2.0**39, width=32),
            "cost_usd": st.none() | st.decimals(0, 10**7, places=10),
            "attributes": st.dictionaries(_text, _text, max_size=3).map(lambda pairs: list(pairs.items())),
        }
    ),
    min_size=1,
    max_size=8,
)


@given(_rows)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_value_comes_back(warehouse: Warehouse, rows: list[dict[str, Any]]) -> None:
    full = [event(number, **row) for number, row in enumerate(rows)]
    for number, row in enumerate(full):
        row["session_id"] = str(number)
    warehouse.command("TRUNCATE TABLE events")
    warehouse.insert("events", table(full))
    found = warehouse.query(f"SELECT {', '.join(NAMES)} FROM events ORDER BY toUInt32(session_id)").dicts()
    assert found == [{name: _stored(row)[name] for name in NAMES} for row in full]


def test_absent_columns_take_their_defaults(warehouse: Warehouse) -> None:
    warehouse.insert("events", table([event(1)]).select(["tenant", "type", "time", "id"]))
    row = warehouse.query("SELECT model, cost_usd, attributes, trace_id, expires_at FROM events").rows[0]
    assert row[:4] == ("", None, {}, bytes(16))
    assert row[4].year == 2106


@pytest.mark.parametrize("values", [["a", None, "b"], ["a", "b", "b"], ["", "a", None], ["a", "b", "c"]])
def test_dictionaries_of_any_make(warehouse: Warehouse, values: list[str | None]) -> None:
    codes = pa.array([0, 1, 2, None, 2], pa.int32())
    models = pa.DictionaryArray.from_arrays(codes, pa.array(values, pa.string()))
    rows = table([event(number) for number in range(5)])
    warehouse.insert("events", rows.set_column(rows.schema.get_field_index("model"), "model", models))
    found = sorted(row[0] for row in warehouse.query("SELECT model FROM events").rows)
    assert found == sorted(value or "" for value in models.to_pylist())


def test_chunks_with_dictionaries_of_their_own(warehouse: Warehouse) -> None:
    parts = [table([event(number, model=f"m{number}")]) for number in range(3)]
    warehouse.insert("events", pa.concat_tables(parts))
    found = warehouse.query("SELECT model FROM events").rows
    assert sorted(row[0] for row in found) == ["m0", "m1", "m2"]


@pytest.mark.parametrize(("count", "kind"), [(100, pa.int8()), (1000, pa.int16()), (40_000, pa.int32())])
def test_codes_are_as_small_as_can_be(count: int, kind: pa.DataType) -> None:
    column = pa.array([f"v{number}" for number in range(count)]).dictionary_encode()
    read = pa.ipc.open_stream(ipc_block(pa.table({"x": column}))).read_all()
    assert read.schema.field("x").type.index_type == kind


def test_money_is_exact(warehouse: Warehouse) -> None:
    insert_and_roll(warehouse, table([event(number, cost_usd=Decimal("0.0000000001")) for number in range(1000)]))
    for text in ("SELECT sum(cost_usd) FROM events", "SELECT sum(cost_usd) FROM rollup_1h"):
        assert warehouse.query(text).scalar() == Decimal("0.0000001")


def test_times_keep_their_microseconds(warehouse: Warehouse) -> None:
    moment = NOW.replace(microsecond=123457) - timedelta(hours=1)
    warehouse.insert("events", table([event(1, time=moment)]))
    found = warehouse.query("SELECT time FROM events WHERE time = {at:DateTime64(6, 'UTC')}", {"at": moment})
    assert found.rows == [(moment,)]
