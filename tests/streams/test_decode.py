"""Records to tables: different columns, dictionaries, both ways of compression, and whatever is no record."""

from typing import Any

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Poison
from schemas.arrow import LOG_SCHEMA, widen
from streams.steps.decode import REQUIRED, decode, decode_record
from tests.streams.blocks import make_record, make_table

LLM = make_table([{"model": "gpt-4o", "input_tokens": 5, "attributes": {"region": "eu"}}, {"model": "gpt-5"}])
SPAN = make_table([{"type": "span", "name": "retrieve", "duration_ms": 4.5}])


def _whole(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return zstandard.compress(sink.getvalue())


def test_different_columns_become_one_table() -> None:
    decoded = decode([make_record(LLM), make_record(SPAN)])
    assert decoded.rejected == ()
    assert set(decoded.table.column_names) == set(LLM.column_names) | set(SPAN.column_names)
    assert widen(decoded.table).to_pylist() == widen(LLM).to_pylist() + widen(SPAN).to_pylist()


@pytest.mark.parametrize("dictionary", [(True, True), (True, False), (False, True)])
def test_dictionaries_and_plain_text_mix(dictionary: tuple[bool, bool]) -> None:
    values = [make_record(LLM, dictionary=dictionary[0]), make_record(SPAN, dictionary=dictionary[1])]
    table = decode([*values, *values]).table
    assert table.to_pylist()[:3] == table.to_pylist()[3:]
    assert table.column("type").to_pylist()[:3] == ["llm.request", "llm.request", "span"]
    assert table.column("type").num_chunks == 1


def test_compressed_as_a_whole() -> None:
    assert decode([_whole(LLM), make_record(LLM)]).table.num_rows == 4


def test_only_some_columns() -> None:
    table = decode_record(_whole(LLM), ("tenant", "id"))
    assert set(table.column_names) == {"tenant", "id"}


def test_smaller_types_are_widened() -> None:
    table = LLM.set_column(LLM.column_names.index("input_tokens"), "input_tokens", pa.array([5, None], pa.int32()))
    assert decode_record(make_record(table)).schema.field("input_tokens").type == pa.int64()


def _with(name: str, values: Any) -> pa.Table:
    table = LLM.drop_columns([name]) if name in LLM.column_names else LLM
    return table.append_column(name, values)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty"),
        (b"", "empty"),
        (b"nonsense", "no Arrow stream"),
        (make_record(LLM)[:200], "no Arrow stream"),
        (b"\x28\xb5\x2f\xfdxxxxxxxxxx", ""),
        (_whole(LLM)[:-20], ""),
        (make_record(LLM.drop_columns(["id"])), "id is missing"),
        (make_record(_with("id", pa.array([None, b"x" * 16], pa.binary(16)))), "id has nulls"),
        (make_record(_with("colour", pa.array(["red", "blue"]))), "No event has a column 'colour'"),
        (make_record(_with("input_tokens", pa.array(["many", "few"]))), "input_tokens is string"),
        (make_record(LLM.append_column("model", LLM.column("model"))), "comes twice"),
    ],
)
def test_poison(value: bytes | None, reason: str) -> None:
    decoded = decode([make_record(SPAN), value, make_record(LLM)])
    assert decoded.table.num_rows == 3
    assert [one.index for one in decoded.rejected] == [1]
    assert reason in decoded.rejected[0].reason


def test_a_record_that_claims_to_be_huge_is_refused() -> None:
    bomb = zstandard.ZstdCompressor().compress(b"\0" * (1 << 20))
    with pytest.raises(Poison):
        decode_record(bomb)
    lying = b"\x28\xb5\x2f\xfd\xe0" + (1 << 40).to_bytes(8, "little")
    with pytest.raises(Poison, match="large when decompressed"):
        decode_record(lying)


def test_nothing_decodes_to_nothing() -> None:
    table = decode([None]).table
    assert table.num_rows == 0
    assert table.schema.names == list(REQUIRED)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=400), st.integers(0, 3000), st.integers(0, 255))
def test_never_raises_anything_else(noise: bytes, place: int, byte: int) -> None:
    good = bytearray(make_record(LLM))
    good[place % len(good)] = byte
    for value in (noise, bytes(good), zstandard.compress(noise)):
        decoded = decode([value])
        assert bool(decoded.rejected) == (decoded.table.num_rows == 0)


def test_types_are_those_of_the_log() -> None:
    for field in decode_record(make_record(LLM)).schema:
        assert field.type == LOG_SCHEMA.field(field.name).type
