"""Gathering: any JSON becomes columns, and what does not go with the rest is marked."""

from typing import Any

import orjson
import pytest

from ingest.decode.gather import gather
from ingest.decode.parse import Parsed


def columns(parsed: Parsed) -> dict[str, list[object]]:
    return {name: column.array.to_pylist() for name, column in parsed.columns.items()}


def doubtful(parsed: Parsed) -> list[int]:
    assert parsed.doubtful is not None
    return [int(row) for row in parsed.doubtful.nonzero()[0]]


def test_values_find_their_rows_whatever_order_they_come_in() -> None:
    events: list[Any] = [
        {"type": "a", "data": {"x": "", "n": 1}},
        {"source": "s", "type": "b", "data": {"n": None}},
        {"type": "c", "project": None, "data": {"n": 3, "x": "zwei"}, "attributes": {"k": "v"}},
        {"type": "d"},
        {"type": "e", "data": {"x": "drei", "b": True, "f": 0.5}},
    ]
    parsed, shape = gather(events)
    assert columns(parsed) == {
        "type": ["a", "b", "c", "d", "e"],
        "source": [None, "s", None, None, None],
        "d.x": ["", None, "zwei", None, "drei"],
        "d.n": [1, None, 3, None, None],
        "d.b": [None, None, None, None, True],
        "d.f": [None, None, None, None, 0.5],
        "a.k": [None, None, "v", None, None],
    }
    assert doubtful(parsed) == []
    assert (shape.data, shape.attributes) == ({"x": "text", "n": "int", "b": "bool", "f": "float"}, {"k": "text"})


def test_nested_values_and_contents_become_json() -> None:
    data = {"scores": [1, 0.5], "input_messages": [{"b": '"\\', "a": None}], "query": "é"}
    parsed, shape = gather([{"type": "a", "data": dict(data)}, {"type": "b"}])
    assert columns(parsed)["d.scores"] == ["[1,0.5]", None]
    assert parsed.ready["body"].to_pylist() == ['{"input_messages":[{"a":null,"b":"\\"\\\\"}],"query":"é"}', None]
    assert shape.data == {"scores": "json", "input_messages": "json", "query": "text"}
    assert shape.nested


def test_needed_contents_leave_a_mark() -> None:
    parsed, shape = gather(
        [{"type": "log.record", "data": {"body": "x"}}, {"type": "log.record", "data": {"body": None}}]
    )
    assert columns(parsed)["d.body"] == [True, None]
    assert shape.data == {"body": "text"}


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        [],
        {"type": "b", "unknown": 1},
        {"type": "b", "data": []},
        {"type": "b", "data": {"input_tokens": "many"}},
        {"type": "b", "data": {"n": "1"}},
        {"type": "b", "data": {"n": True}},
        {"type": "b", "data": {"n": 2**63}},
        {"type": "b", "attributes": "x"},
        {"type": ["b"]},
        {"type": "b", "attributes": {"k": {}}},
    ],
)
def test_an_odd_row_stays_alone(odd: Any) -> None:
    good = {"type": "a", "data": {"n": 1, "input_tokens": 2}, "attributes": {"k": "v"}}
    parsed, _ = gather([orjson.loads(orjson.dumps(event)) for event in (good, odd, good)])
    assert doubtful(parsed) == [1]
    found = columns(parsed)
    assert [found[name][row] for name in ("type", "d.n", "a.k") for row in (0, 2)] == ["a", "a", 1, 1, "v", "v"]


def test_what_cannot_be_written_again_is_odd() -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    for name in ("x", "input_messages"):
        parsed, _ = gather([{"type": "a", "data": {name: deep}}, {"type": "a", "data": {name: deep}}])
        assert doubtful(parsed) == [0, 1]


def test_fields_beyond_the_limit_are_odd_and_attributes_become_text() -> None:
    parsed, shape = gather(
        [{"type": "a", "data": {f"x{row}": 1}, "attributes": {f"k{row}": "v"}} for row in range(300)]
    )
    assert doubtful(parsed) == list(range(256, 300))
    assert len(shape.data) == 256
    assert shape.attributes is None
    assert columns(parsed)["attributes"][299] == '{"k299":"v"}'


def test_attributes_that_cannot_be_written_are_odd() -> None:
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    parsed, _ = gather([{"type": "a", "attributes": {f"k{row}": deep if row == 7 else "v"}} for row in range(100)])
    assert doubtful(parsed) == [7]


def test_no_events_have_no_columns() -> None:
    parsed, _ = gather([])
    assert (parsed.columns, parsed.rows) == ({}, 0)
