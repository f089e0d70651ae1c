"""Columns and rows agree: whatever a body holds, both ways give the same events and the same verdicts."""

import json
import random
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import BadRequest, HubError
from ingest.batch import Arrival, Decoded
from ingest.decode import ndjson
from ingest.decode.arrow import decode_arrow
from ingest.decode.json import decode_json
from ingest.decode.ndjson import decode_ndjson
from ingest.decode.rows import decode_rows, read_row
from ingest.limits import Limits
from schemas.arrow import LOG_SCHEMA, widen
from schemas.catalogue import EVENT_TYPES

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
ARRIVAL = Arrival("acme", NOW, NOW - timedelta(days=90), NOW + timedelta(days=1), key="k")
LIMITS = Limits()

pytestmark = pytest.mark.filterwarnings("error")
quick = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            ":x",
            ":null",
            ": null",
            '":',
            "[1",
            "{}",
            '{"a":1}',
            "\\",
            '\\"',
            " :",
            "\u2028",
            "😀",
            "null",
            "true",
            "1",
        ]
    ),
)
scalars = st.one_of(
    texts,
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-10, 10_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
)
values = st.recursive(
    scalars, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(texts, v, max_size=3)), max_leaves=6
)
FIELD_NAMES = sorted({name for model in EVENT_TYPES.values() for name in model.model_fields})
ids = st.one_of(
    st.uuids().map(str),
    st.uuids().map(lambda u: str(u).upper()),
    st.uuids().map(lambda u: u.hex),
    texts,
    st.integers(0, 99),
    st.none(),
)
hexes = st.one_of(
    st.binary(min_size=16, max_size=16).map(bytes.hex),
    st.sampled_from(["", "xyz", "0" * 31, "A" * 32, "g" * 32]),
    st.none(),
)
moments = st.one_of(
    st.datetimes(NOW.replace(tzinfo=None) - timedelta(days=100), NOW.replace(tzinfo=None) + timedelta(days=2)).map(
        lambda d: d.isoformat() + "Z"
    ),
    st.sampled_from(
        [
            "2026-11-20T12:00:00+01:00",
            "2026-11-20T12:00:00.5-00:30",
            "2026-11-20T12:00:00",
            "2026-02-30T00:00:00Z",
            "2026-11-20 12:00:00.123456789Z",
            1795176000123,
            1795176000,
            1795176000123.25,
        ]
    ),
)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly good events, with something odd here and there."""
    model = draw(st.sampled_from(sorted(EVENT_TYPES.values(), key=lambda m: m.TYPE)))
    event: dict[str, Any] = {
        "type": model.TYPE,
        "source": "s",
        "time": "2026-11-20T12:00:00.123Z",
        "data": dict(model.EXAMPLE),
    }
    odd = st.sampled_from(["data", "known", "id", "trace_id", "time", "attributes", "envelope", "drop", "type", "body"])
    for change in draw(st.lists(odd, max_size=3)):
        match change:
            case "data":
                event["data"][draw(texts)] = draw(values)
            case "known":
                event["data"][draw(st.sampled_from(FIELD_NAMES))] = draw(values)
            case "id":
                event["id"] = draw(ids)
            case "trace_id":
                event["trace_id"] = draw(hexes)
            case "time":
                event["time"] = draw(moments)
            case "attributes":
                event["attributes"] = draw(
                    st.one_of(
                        st.dictionaries(texts, texts, max_size=4), st.dictionaries(texts, values, max_size=2), values
                    )
                )
            case "envelope":
                event[
                    draw(
                        st.sampled_from(
                            ["user_id", "project", "schema_version", "span_id", "source", "data", "nonsense"]
                        )
                    )
                ] = draw(scalars)
            case "drop":
                if isinstance(event["data"], dict) and event["data"]:
                    del event["data"][draw(st.sampled_from(sorted(event["data"])))]
            case "type":
                event["type"] = draw(st.sampled_from(["llm.requst", "", None, 5]))
            case "body":
                event["data"][draw(st.sampled_from(["input_messages", "query", "result", "comment"]))] = draw(values)
        if not isinstance(event.get("data"), dict):
            break
    return event


def slow(body: bytes) -> Decoded:
    lines = [(i, line) for i, line in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n")) if line.strip()]
    return decode_rows([read_row(*line) for line in lines], ARRIVAL, LIMITS.row_bytes)


def rows_of(decoded: Decoded) -> list[str]:
    """The events, in an order and a form that can be compared."""
    if not decoded.table.num_rows:
        return []
    return sorted(repr(_plain(row)) for row in widen(decoded.table).to_pylist())


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("data", "body"):
        if row[name] is not None:
            row[name] = _numbers(json.loads(row[name]))
    if row["attributes"] is not None:
        row["attributes"] = sorted((key, _text(value)) for key, value in row["attributes"])
    return {name: value for name, value in row.items() if value is not None}


def _numbers(value: Any) -> Any:
    """1 and 1.0 are the same number in JSON, as are 1e22 and 10000000000000000000000."""
    match value:
        case bool():
            return value
        case int() | float():
            return float(value)
        case dict():
            return {key: _numbers(value[key]) for key in sorted(value)}
        case list():
            return [_numbers(item) for item in value]
    return value


def _text(value: str) -> Any:
    try:
        return repr(_numbers(json.loads(value)))
    except ValueError:
        return value


def verdicts(decoded: Decoded) -> list[tuple[int, str | None, str, str]]:
    return [(row.index, row.id, row.field, row.reason) for row in decoded.rejected]


def same(body: bytes) -> Decoded:
    ours, theirs = decode_ndjson(body, ARRIVAL, LIMITS), slow(body)
    assert verdicts(ours) == verdicts(theirs)
    assert rows_of(ours) == rows_of(theirs)
    assert ours.all_ids == theirs.all_ids
    again = decode_ndjson(body, ARRIVAL, LIMITS)  # with a shape that is known now
    assert (verdicts(again), rows_of(again)) == (verdicts(theirs), rows_of(theirs))
    return ours


@pytest.fixture(autouse=True)
def columns_from_the_first_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "_SMALL", 0)
    monkeypatch.setattr(ndjson, "_FEW", 2)
    monkeypatch.setattr(ndjson, "_SHAPES", ndjson.Shapes())


def dumps(event: Any, style: int) -> bytes:
    match style:
        case 0:
            return orjson.dumps(event)
        case 1:
            return json.dumps(event).encode()
        case _:
            return json.dumps(event, ensure_ascii=False, separators=(", ", " : ")).encode()


without_redaction = pytest.mark.usefixtures("no_redaction")


@pytest.fixture
def no_redaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "finish", lambda decoded, arrival: decoded)


@without_redaction
@settings(quick, max_examples=150, suppress_health_check=list(HealthCheck))
@given(st.lists(events(), min_size=1, max_size=8), st.integers(0, 2))
def test_columns_and_rows_agree(batch: list[dict[str, Any]], style: int) -> None:
    same(b"\n".join(dumps(event, style) for event in batch))


@without_redaction
@settings(quick, suppress_health_check=list(HealthCheck))
@given(st.lists(events(), min_size=1, max_size=6), st.data())
def test_they_agree_on_broken_bytes_too(batch: list[dict[str, Any]], data: st.DataObject) -> None:
    body = bytearray(b"\n".join(orjson.dumps(event) for event in batch))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(body) - 1))
        match data.draw(st.sampled_from(["set", "cut", "insert", "end"])):
            case "set":
                body[place] = data.draw(st.sampled_from(b' \t"\\:,{}[]0-n\x00\xff\n'))
            case "cut":
                del body[place : place + data.draw(st.integers(1, 9))]
            case "insert":
                body[place:place] = data.draw(
                    st.sampled_from(
                        [b" ", b'"x":1,', b"\\ud800", b"\\u0041", b"\r", b"1", b"\n\n", b'"model":"twice",']
                    )
                )
            case "end":
                del body[place:]
        if not body.strip():
            return
    same(bytes(body))


@quick
@given(st.binary(max_size=300), st.sampled_from([decode_json, decode_ndjson, decode_arrow]))
def test_no_body_raises_anything_but_our_own_errors(body: bytes, decoder: Any) -> None:
    with suppress(HubError):
        decoder(body, ARRIVAL, LIMITS)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"a","duration_ms":1,"name":"b"}}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":["a"],"duration_ms":1}}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"a","duration_ms":1,"x":{"y":null},"z":":null"}}',
        b'{"type" :"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"a","duration_ms":1,"lost":1}}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"\\ud83d\\ude00","duration_ms":1}}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"\\ud800","duration_ms":1}}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"a","duration_ms":1}}{}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"a","duration_ms":"1"}}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"a","duration_ms":true}}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":7,"duration_ms":1}}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"a","duration_ms":1},"tenant":"x"}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":null}',
        b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z"}',
        b"{}",
        b"[]",
        b"null",
        b"\x00",
    ],
)
@without_redaction
def test_lines_that_have_fooled_a_parser(line: bytes) -> None:
    good = b'{"type":"span","source":"s","time":"2026-11-20T12:00:00Z","data":{"name":"a","duration_ms":1}}'
    for body in (
        line,
        good + b"\n" + line,
        b"\n" + line + b"\r\n" + good + b"\r\n\r\n",
        b"\xef\xbb\xbf" + good + b"\n" + line,
    ):
        same(body)


@without_redaction
def test_one_bad_row_among_thousands_is_found_and_the_rest_stay_columns() -> None:
    chance = random.Random(7)
    lines = [
        orjson.dumps(
            {
                "type": "llm.request",
                "source": "g",
                "time": "2026-11-20T12:00:00.123Z",
                "data": {"model": "m", "input_tokens": chance.randrange(999)},
            }
        )
        for _ in range(3000)
    ]
    lines[1234] = (
        b'{"type":"llm.request","source":"g","time":"2026-11-20T12:00:00.123Z","data":{"model":"m","input_tokens":"many"}}'
    )
    lines[77] = lines[77].replace(b"999", b"1").replace(b'"m"', b'""')
    decoded = same(b"\n".join(lines))
    assert decoded.path == "mixed"
    assert [(row.index, row.field) for row in decoded.rejected] == [(77, "data.model"), (1234, "data.input_tokens")]


@without_redaction
def test_attributes_of_several_kinds_stay_columns() -> None:
    event = {"type": "span", "source": "s", "time": "2026-11-20T12:00:00Z", "data": {"name": "n", "duration_ms": 1}}
    lines = [orjson.dumps({**event, "attributes": {"k": str(row), "n": row, "b": row % 2 == 0}}) for row in range(200)]
    assert same(b"\n".join(lines)).path == "fast"
    assert same(b"\n".join(lines)).path == "fast"


@without_redaction
def test_many_names_of_attributes_lose_nothing() -> None:
    event = {"type": "span", "source": "s", "time": "2026-11-20T12:00:00Z", "data": {"name": "n", "duration_ms": 1}}
    body = b"\n".join(orjson.dumps({**event, "attributes": {f"k{row}": str(row)}}) for row in range(200))
    assert same(body).path == "fast"
    assert same(body).path == "fast"


def test_an_empty_body_holds_no_events() -> None:
    for body in (b"", b"\n", b" \r\n\t\n", b"\xef\xbb\xbf"):
        with pytest.raises(BadRequest):
            decode_ndjson(body, ARRIVAL, LIMITS)


@quick
@given(st.lists(events(), min_size=1, max_size=6))
def test_arrow_never_raises_anything_but_our_own_errors(batch: list[dict[str, Any]]) -> None:
    try:
        table = pa.Table.from_pylist(batch)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    try:
        decoded = decode_arrow(sink.getvalue().to_pybytes(), ARRIVAL, LIMITS)
    except HubError:
        return
    assert decoded.rows == len(batch)
    assert set(decoded.table.column_names) <= set(LOG_SCHEMA.names)
