"""The Arrow door's decoder: the same events, whatever types the columns have, and nothing hostile gets through."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest

from core.errors import BadRequest, HubError, TooLarge
from ingest.batch import Arrival, Decoded
from ingest.decode.arrow import decode_arrow
from ingest.decode.rows import decode_rows
from ingest.limits import Limits
from schemas.arrow import widen
from tests.ingest.fakes import NOW, sample

ARRIVAL = Arrival("acme", NOW, NOW - timedelta(days=90), NOW + timedelta(days=1))
TRACE = "0192f0c1" * 4


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def decode(table: pa.Table, limits: Limits | None = None, **options: Any) -> Decoded:
    return decode_arrow(stream(table, **options), ARRIVAL, limits or Limits())


def events(count: int = 3) -> list[dict]:
    return [
        sample(
            id=str(uuid.UUID(int=row)),
            trace_id=TRACE,
            span_id="00000000000000ff",
            attributes={"region": "eu", "row": str(row)},
            data={"input_tokens": row, "stream": row % 2 == 0, "extra": "x"},
        )
        for row in range(count)
    ]


def expected(values: list[dict]) -> list[dict]:
    decoded = decode_rows([(i, value, b"") for i, value in enumerate(values)], ARRIVAL, 1 << 20)
    assert not decoded.rejected
    return rows(decoded)


def rows(decoded: Decoded) -> list[dict]:
    """The events, with JSON as what it means: spaces in it do not matter."""
    found = widen(decoded.table).to_pylist()
    for row in found:
        row.update({name: orjson.loads(row[name]) for name in ("data", "body") if row[name] is not None})
    return found


def test_texts_and_structs() -> None:
    decoded = decode(pa.Table.from_pylist(events()))
    assert (decoded.path, decoded.all_ids) == ("fast", True)
    assert rows(decoded) == expected(events())


def test_binary_ids_timestamps_and_dictionaries() -> None:
    values = events()
    table = pa.Table.from_pylist(values)
    for name, width in (("id", 16), ("trace_id", 16), ("span_id", 8)):
        raw = [bytes.fromhex(value[name].replace("-", "")) for value in values]
        table = table.set_column(table.column_names.index(name), name, pa.array(raw, pa.binary(width)))
    times = pa.array([datetime.fromisoformat(value["time"]) for value in values], pa.timestamp("ns", "UTC"))
    table = table.set_column(table.column_names.index("time"), "time", times)
    table = table.set_column(table.column_names.index("source"), "source", table.column("source").dictionary_encode())
    decoded = decode(table, compression="zstd")
    assert decoded.path == "fast"
    assert rows(decoded) == expected(values)


@pytest.mark.parametrize("odd", [{}, {"input_tokens": -1}])
def test_data_as_json_text(odd: dict) -> None:
    values = [*events(), sample(id="odd", data={"input_messages": [{"role": "user"}], "list": [1]}), sample(data=odd)]
    texts = [{**value, "data": orjson.dumps(value["data"]).decode()} for value in values]
    decoded = decode(pa.Table.from_pylist(texts))
    assert len(decoded.rejected) == bool(odd)
    good = values[:-1] if odd else values
    key = lambda row: (row["id"], row["input_tokens"] or 0)  # noqa: E731
    assert sorted(rows(decoded), key=key) == sorted(expected(good), key=key)


def test_attributes_as_a_map() -> None:
    table = pa.Table.from_pylist(events())
    pairs = [list(value["attributes"].items()) for value in events()]
    column = pa.array(pairs, pa.map_(pa.string(), pa.string()))
    table = table.set_column(table.column_names.index("attributes"), "attributes", column)
    assert rows(decode(table)) == expected(events())


def test_lists_in_data() -> None:
    values = [
        sample(
            type="retrieval.query",
            data={"index": "h", "scores": [0.5, 0.25], "document_ids": ["a", "b"], "model": None},
        )
    ]
    del values[0]["data"]["model"], values[0]["data"]["input_tokens"]
    decoded = decode(pa.Table.from_pylist(values))
    (row,) = rows(decoded)
    assert row["data"] == {"document_ids": ["a", "b"], "scores": [0.5, 0.25]}
    assert row["name"] == "h"


def test_bad_rows_are_explained_and_the_others_kept() -> None:
    values = [*events(), sample(id="bad", data={"input_tokens": -5}), sample(id="worse", type="llm.requst")]
    decoded = decode(pa.Table.from_pylist(values))
    assert decoded.path == "mixed"
    assert [(r.index, r.id, r.field) for r in decoded.rejected] == [
        (3, "bad", "data.input_tokens"),
        (4, "worse", "type"),
    ]
    assert decoded.table.num_rows == 3


def test_an_unknown_column_is_an_unknown_field() -> None:
    decoded = decode(pa.Table.from_pylist([{**sample(), "tenant": "other"}]))
    assert [row.field for row in decoded.rejected] == ["tenant"]


def test_missing_ids_are_made() -> None:
    values = events()
    for value in values:
        del value["id"]
    decoded = decode(pa.Table.from_pylist(values))
    assert not decoded.all_ids
    made = decoded.table.column("id").to_pylist()
    assert len(set(made)) == 3
    assert {uuid.UUID(bytes=one).version for one in made} == {7}


@pytest.mark.parametrize(
    ("table", "limits"),
    [
        (pa.table({"type": pa.array(["x" * 1000] * 100)}), Limits(decompressed_bytes=50_000)),
        (pa.table({"n": pa.nulls(5_000)}), Limits(rows=1_000)),
        (
            pa.table({"type": pa.DictionaryArray.from_arrays(np.zeros(2_000, np.int32), ["x" * 100_000])}),
            Limits(decompressed_bytes=1 << 20),
        ),
    ],
)
def test_a_bomb_is_not_unpacked(table: pa.Table, limits: Limits) -> None:
    with pytest.raises(TooLarge):
        decode(table, limits, compression="zstd")


def test_no_rows_are_no_events() -> None:
    with pytest.raises(BadRequest):
        decode(pa.table({"type": pa.array([], pa.string())}))
    with pytest.raises(BadRequest):
        decode_arrow(b"", ARRIVAL, Limits())


@pytest.mark.parametrize("compression", [None, "zstd", "lz4"])
def test_bytes_that_contradict_each_other_are_refused_or_read(compression: str | None) -> None:
    body = stream(pa.Table.from_pylist(events(50)), compression=compression)
    chance = np.random.default_rng(3)
    for _ in range(300):
        broken = bytearray(body)
        for place in chance.integers(0, len(body), 3):
            broken[place] = chance.integers(0, 256)
        try:
            decode_arrow(bytes(broken), ARRIVAL, Limits())
        except HubError:
            continue


def test_times_without_a_zone_are_utc() -> None:
    table = pa.Table.from_pylist(events(1))
    naive = pa.array([datetime(2026, 11, 20, 12, tzinfo=UTC).replace(tzinfo=None)], pa.timestamp("us"))
    table = table.set_column(table.column_names.index("time"), "time", naive)
    assert rows(decode(table))[0]["time"] == datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("maps", "path"),
    [
        ([[("a", "1"), ("b", "2")], None, [("a", "3")]], "fast"),
        ([[("a", "1"), ("a", "2")], [], [("c", "3")]], "slow"),
        ([[("a", None)], [("b", "2")], []], "slow"),
        ([[("k" * 300, "1")], [("b", "2")], []], "slow"),
        ([[(f"k{n}", "1") for n in range(65)], [("b", "2")], []], "slow"),
    ],
)
def test_maps_of_attributes(maps: list[list[tuple[str, str | None]] | None], path: str) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    table = pa.table(
        {
            "type": ["product.event"] * 4,
            "source": ["s"] * 4,
            "time": pa.array([now] * 4, pa.timestamp("us", "UTC")),
            "data": [{"name": "n"}] * 4,
            "attributes": pa.array([[("x", "y")], *maps], pa.map_(pa.string(), pa.string())),
        }
    ).slice(1)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    arrival = Arrival("t", now, now - timedelta(days=1), now + timedelta(days=1))
    decoded = decode_arrow(sink.getvalue().to_pybytes(), arrival, Limits())
    assert decoded.path == path
    if path == "fast":
        assert decoded.table.column("attributes").to_pylist() == maps
