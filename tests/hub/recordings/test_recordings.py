"""Readers of recordings: every form and compression, whole and damaged."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadRequest
from hub.recordings import Counted, Cut, Piece, last_time, read_pieces
from hub.recordings.piece import PIECE_BYTES
from hub.simulate.config import to_us

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
FIRST_US = to_us(FIRST)
LINES = (
    b'{"time":"2026-01-01T00:00:00Z"}\n\n{"time":1767225605000}\nbroken\n[1]\n{"time":"2026-01-01T00:00:03.5+00:00"}'
)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def bodies(pieces: list[Piece]) -> bytes:
    return b"".join(piece.body for piece in pieces)


@pytest.mark.parametrize(
    "compress",
    [
        bytes,
        gzip.compress,
        zstandard.compress,
        lambda text: zstandard.compress(text[:40]) + zstandard.compress(text[40:]),
    ],
)
def test_lines_come_out_as_they_went_in(tmp_path: Path, compress: object) -> None:
    path = write(tmp_path / "x", compress(LINES))  # type: ignore[operator]
    counted = Counted(path, path.stat().st_size)
    pieces = list(read_pieces(path, Cut(rows=2), counted))
    assert bodies(pieces) == LINES + b"\n"
    assert [(piece.first_row, piece.rows) for piece in pieces] == [(0, 2), (2, 2), (4, 2)]
    assert counted.read == counted.size


def test_times_are_read_when_they_are_needed(tmp_path: Path) -> None:
    path = write(tmp_path / "x", LINES)
    assert [piece.last_us for piece in read_pieces(path, Cut(rows=2))] == [None] * 3
    timed = read_pieces(path, Cut(rows=2, step_us=60_000_000))
    # What has no time of its own goes with the line before.
    assert [piece.last_us for piece in timed] == [FIRST_US, FIRST_US + 5_000_000, FIRST_US + 3_500_000]
    assert last_time(path) == FIRST_US + 5_000_000


def test_a_step_of_time_begins_a_new_piece(tmp_path: Path) -> None:
    path = write(tmp_path / "x", LINES)
    assert [piece.first_row for piece in read_pieces(path, Cut(step_us=1_000_000))] == [0, 2, 5]


def test_shifted_lines_keep_everything_else(tmp_path: Path) -> None:
    path = write(tmp_path / "x", LINES)
    (piece,) = read_pieces(path, Cut(shift_us=1_000_000))
    lines = piece.body.splitlines()
    assert lines[0] == b'{"time":"2026-01-01T00:00:01.000000Z"}'
    assert lines[1] == b""
    assert lines[2] == b'{"time":"2026-01-01T00:00:06.000000Z"}'
    assert lines[3:5] == [b"broken", b"[1]"]


def test_long_lines_make_small_pieces(tmp_path: Path) -> None:
    line = b'{"x":"' + b"a" * (PIECE_BYTES // 2) + b'"}\n'
    pieces = list(read_pieces(write(tmp_path / "x", line * 5), Cut()))
    assert [piece.rows for piece in pieces] == [3, 2] or [piece.rows for piece in pieces] == [2, 2, 1]


def test_an_empty_file_has_no_pieces(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b"")
    assert list(read_pieces(path, Cut())) == []
    assert last_time(path) is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(LINES * 100)[:-20], "damaged or cut off"),
        (b"\x28\xb5\x2f\xfd" + b"x" * 50, "damaged or cut off"),
        (b"ARROW1\0\0" + b"x" * 50, "damaged or cut off"),
        (b"[1, 2]", "neither NDJSON"),
        (b"\x89PNG....", "neither NDJSON"),
        (b'{"resourceSpans": [}\n', "x: line 1: not JSON"),
        (b'{"resourceSpans": []}\n{"a": 1}\n', "x: an OTLP body has one of"),
        (b'{"resourceSpans": []}\n3\n', "x: line 2 is no OTLP body"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, content: bytes, said: str) -> None:
    path = write(tmp_path / "x", content)
    with pytest.raises(BadRequest, match=said):
        list(read_pieces(path, Cut()))


@given(st.binary(max_size=300))
def test_no_bytes_break_a_reader_otherwise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("any") / "x", content)
    try:
        pieces = list(read_pieces(path, Cut(shift_us=1, step_us=1000)))
    except BadRequest:
        return
    assert sum(piece.rows for piece in pieces) >= 0


MOMENTS = [FIRST + timedelta(seconds=second) for second in (0, 1, 2, 30)]


def times(kind: str) -> pa.Array:
    if kind == "text":
        return pa.array([moment.isoformat().replace("+00:00", "Z") for moment in MOMENTS])
    if kind == "milliseconds":
        return pa.array([int(moment.timestamp() * 1000) for moment in MOMENTS])
    return pa.array(MOMENTS, pa.timestamp(kind, tz="UTC"))


def arrow(path: Path, column: pa.Array, stream: bool = False) -> Path:
    table = pa.table({"type": ["job.run"] * len(column), "time": column})
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, table.schema) as writer:
        writer.write_table(table)
        writer.write_table(table.slice(0, 0))
    return path


@pytest.mark.parametrize("kind", ["text", "milliseconds", "us", "ms", "ns"])
@pytest.mark.parametrize("stream", [True, False])
def test_arrow_times_of_any_kind_are_read_and_shifted(tmp_path: Path, kind: str, stream: bool) -> None:
    path = arrow(tmp_path / "x", times(kind), stream)
    pieces = list(read_pieces(path, Cut(rows=3, step_us=10_000_000, shift_us=5_000_000)))
    assert [(piece.first_row, piece.rows, piece.last_us) for piece in pieces] == [
        (0, 3, FIRST_US + 2_000_000),
        (3, 1, FIRST_US + 30_000_000),
    ]
    shifted = [moment for piece in pieces for moment in pa.ipc.open_stream(piece.body).read_all()["time"].to_pylist()]
    assert shifted == [moment + timedelta(seconds=5) for moment in MOMENTS]
    assert last_time(path) == FIRST_US + 30_000_000


def test_compressed_arrow_files_need_no_seeking(tmp_path: Path) -> None:
    plain = arrow(tmp_path / "x", times("us"))
    packed = write(tmp_path / "x.gz", gzip.compress(plain.read_bytes()))
    assert bodies(list(read_pieces(packed, Cut()))) == bodies(list(read_pieces(plain, Cut())))


def test_arrow_rows_without_a_time_keep_having_none(tmp_path: Path) -> None:
    path = arrow(tmp_path / "x", pa.array([FIRST, None], pa.timestamp("us", tz="UTC")))
    (piece,) = read_pieces(path, Cut(shift_us=1))
    assert pa.ipc.open_stream(piece.body).read_all()["time"].null_count == 1


def test_an_arrow_file_without_times_is_sent_as_it_is(tmp_path: Path) -> None:
    table = pa.table({"type": ["job.run"]})
    path = tmp_path / "x"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    (piece,) = read_pieces(path, Cut(shift_us=1))
    assert pa.ipc.open_stream(piece.body).read_all() == table
    assert last_time(path) is None


SPAN = {"startTimeUnixNano": str(FIRST_US * 1000), "endTimeUnixNano": (FIRST_US + 7) * 1000, "name": "x"}
LOG = {"timeUnixNano": "0", "observedTimeUnixNano": str(FIRST_US * 1000), "severityNumber": 9}
SPANS = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}
LOGS = {"resourceLogs": [{"scopeLogs": [{"logRecords": [LOG]}]}]}


def test_otlp_bodies_go_to_their_doors_with_their_times_shifted(tmp_path: Path) -> None:
    path = write(tmp_path / "x", orjson.dumps(SPANS) + b"\n\n" + orjson.dumps(LOGS))
    spans, logs = read_pieces(path, Cut(shift_us=1_000_000))
    assert (spans.path, logs.path) == ("/v1/traces", "/v1/logs")
    assert spans.last_us == FIRST_US + 7
    span = orjson.loads(spans.body)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    assert span == {
        "startTimeUnixNano": str((FIRST_US + 1_000_000) * 1000),
        "endTimeUnixNano": str((FIRST_US + 1_000_007) * 1000),
        "name": "x",
    }
    # 0 means unknown, and stays so.
    assert orjson.loads(logs.body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["timeUnixNano"] == "0"
    assert last_time(path) == FIRST_US + 7


def test_an_otlp_body_over_several_lines_is_one(tmp_path: Path) -> None:
    path = write(tmp_path / "x", orjson.dumps(SPANS, option=orjson.OPT_INDENT_2))
    (piece,) = read_pieces(path, Cut())
    assert orjson.loads(piece.body) == SPANS
