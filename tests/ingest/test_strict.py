"""The strict reader: what it reads is what the lines say; what it cannot be sure of it leaves alone."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from ingest.batch import Arrival
from ingest.decode.gather import gather
from ingest.decode.learn import Shape, merged
from ingest.decode.ndjson import decode_ndjson
from ingest.decode.strict import read_strictly
from ingest.limits import Limits

PREFIXES = {"data": "d.", "attributes": "a."}
GOOD = b'{"type":"a","data":{"x":"1","n":2,"f":0.5,"b":true},"attributes":{"k":"v"}}'


def shape_of(*lines: bytes) -> Shape:
    return gather([orjson.loads(line) for line in lines])[1]


SHAPE = shape_of(GOOD)


def read(body: bytes, shape: Shape = SHAPE) -> dict[str, list[object]] | None:
    columns = read_strictly(body, shape, PREFIXES)
    return None if columns is None else {name: column.array.to_pylist() for name, column in columns.items()}


def test_columns_have_flat_names() -> None:
    second = b'{"type":"b","project":null,"data":{"x":"\\u00e9\\n","n":null}}'
    assert read(GOOD + b"\n" + second + b"\n", shape_of(GOOD, second)) == {
        "type": ["a", "b"],
        "d.x": ["1", "é\n"],
        "d.n": [2, None],
        "d.f": [0.5, None],
        "d.b": [True, None],
        "a.k": ["v", None],
    }


@pytest.mark.parametrize(
    "line",
    [
        b"null",
        b"[]",
        b"7",
        b'{"type":"a"} null',
        b'{"type":"a"}null{"type":"a"}',
        b'{"type":"a"}{"type":"a"}',
        b'{"type":"a"} {"type":"a"}',
        b'{"type":"a","type":"b"}',
        b'{"type":1}',
        b'{"type":["a"]}',
        b'{"unknown":1}',
        b'{"data":{"y":1}}',
        b'{"data":{"n":1.5}}',
        b'{"data":{"n":"1"}}',
        b'{"data":{"n":true}}',
        b'{"data":{"n":9223372036854775808}}',
        b'{"data":{"f":NaN}}',
        b'{"data":{"f":Infinity}}',
        b'{"data":{"f":1e999}}',
        b'{"data":{"f":"1"}}',
        b'{"data":[]}',
        b'{"type":"\xff"}',
        b'{"type":"\\ud800"}',
        b'{"type":"a\x01b"}',
        b'{"type":"a",}',
        b'{"type":"a"',
        b"",
    ],
)
def test_what_is_not_certain_is_left_alone(line: bytes) -> None:
    assert read(line) is None
    assert read(GOOD + b"\n" + line + b"\n" + GOOD) is None


def test_shapes_with_json_inside_are_left_alone() -> None:
    line = orjson.dumps({"type": "a", "data": {"scores": [1, 2]}})
    assert read(line, shape_of(line)) is None
    assert read(GOOD, Shape(SHAPE.envelope, SHAPE.data, None)) is None


@pytest.mark.parametrize("name", ["\x00", "a\x00b"])
def test_names_with_nul_and_texts_with_backslashes_survive(name: str) -> None:
    rows = [
        {
            "type": "tool.call",
            "source": "s",
            "time": 1763640000123,
            "data": {"tool_name": "t", "arguments": ["a\\b\n"]},
        },
        {
            "type": "span",
            "source": "s",
            "time": 1763640000123,
            "data": {"name": "n", "duration_ms": 1},
            "attributes": {name: "v"},
        },
    ] * 100
    body = b"\n".join(orjson.dumps(row) for row in rows)
    now = datetime(2025, 11, 20, 12, tzinfo=UTC)
    arrival = Arrival("t", now, now - timedelta(days=1), now + timedelta(days=1))
    table = decode_ndjson(body, arrival, Limits()).table
    assert table.num_rows == 200
    bodies = [orjson.loads(text) for text in table.column("body").to_pylist() if text]
    assert bodies == [{"arguments": ["a\\b\n"]}] * 100
    assert [pair for pairs in table.column("attributes").to_pylist() for pair in pairs or ()] == [(name, "v")] * 100


def test_names_that_come_with_null_alone_are_known_too() -> None:
    line = b'{"type":"a","project":null,"data":{"x":"1","error_type":null,"query":null},"attributes":{"k":null}}'
    shape = shape_of(line)
    assert read(line + b"\n" + line, shape) == {"type": ["a", "a"], "d.x": ["1", "1"]}
    value = line.replace(b'"error_type":null', b'"error_type":"timeout"')
    assert read(value, shape) is None
    assert merged(shape, shape_of(value)).data["error_type"] == "text"
    assert merged(shape_of(value), shape).data["error_type"] == "text"
