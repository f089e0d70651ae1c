"""``application/vnd.apache.arrow.stream``: events that are columns already.

The envelope's columns are texts (plain or dictionary), ids also binary of 16 or 8 bytes, ``time`` also a timestamp
(without a zone: UTC) or whole milliseconds. ``data`` is a struct, or a text with one JSON object a row; ``attributes``
a map, a struct or such a text.
"""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from core.errors import BadRequest, TooLarge
from ingest.batch import Arrival, Decoded
from ingest.decode.attributes import map_of_attributes
from ingest.decode.column import Column
from ingest.decode.finish import finish
from ingest.decode.gather import gather
from ingest.decode.ipc import plain_size, read_stream
from ingest.decode.learn import Kind
from ingest.decode.normalise import normalise
from ingest.decode.parse import ATTRIBUTE, DATA, REFUSALS, Parsed
from ingest.decode.rows import Row, Unreadable, decode_rows
from ingest.decode.tables import together
from ingest.decode.texts import Mask
from ingest.limits import Limits
from schemas.envelope import Envelope

_IDS: Final = {"id": 16, "trace_id": 16, "span_id": 8, "parent_span_id": 8}


def decode_arrow(body: bytes, arrival: Arrival, limits: Limits) -> Decoded:
    """Decode an Arrow stream.

    Raises
    ------
    BadRequest
        No stream, no rows, or a column of a type that events do not have.
    TooLarge
        Larger than a body may be.
    """
    table = read_stream(body, limits)
    if not table.num_rows:
        raise BadRequest("the stream holds no events")
    columns = _Columns(table, limits)
    parsed = columns.parsed()
    rows = _Rows(table)
    if parsed is None:
        return finish(decode_rows(rows.read(np.arange(table.num_rows)), arrival, limits.row_bytes), arrival)
    try:
        normalised = normalise(parsed, arrival, lambda: range(table.num_rows))
    except REFUSALS:
        return finish(decode_rows(rows.read(np.arange(table.num_rows)), arrival, limits.row_bytes), arrival)
    doubtful = normalised.doubtful
    if not doubtful.any():
        decoded = Decoded(normalised.table, (), "fast", normalised.all_ids, normalised.dropped_bodies)
        return finish(decoded, arrival)
    good = normalised.good(doubtful)
    slow = decode_rows(rows.read(np.flatnonzero(doubtful)), arrival, limits.row_bytes)
    tables = [part for part in (good, slow.table) if part.num_rows]
    decoded = Decoded(
        together(tables) if tables else pa.table({}),
        slow.rejected,
        "mixed" if good.num_rows else "slow",
        normalised.all_ids and slow.all_ids,
        normalised.dropped_bodies + slow.dropped_bodies,
    )
    return finish(decoded, arrival)


class _Columns:
    """Turns a sender's table into the flat frame that the normaliser takes."""

    def __init__(self, table: pa.Table, limits: Limits) -> None:
        self._table = table
        self._limits = limits
        self._size = 0
        self._columns: dict[str, Column] = {}
        self._ready: dict[str, pa.Array] = {}
        self._doubtful: Mask | None = None

    def parsed(self) -> Parsed | None:
        """The frame, or None where only the row path can read it."""
        for name in self._table.column_names:
            column = self._table.column(name)
            if name == "data":
                fine = self._data(column)
            elif name == "attributes":
                fine = self._attributes(column)
            else:
                fine = name in Envelope.model_fields and self._envelope(name, column)
            if not fine and column.null_count < len(column):
                return None
        if not self._columns:
            return None
        return Parsed(self._columns, self._table.num_rows, self._ready, self._doubtful)

    def _envelope(self, name: str, column: pa.ChunkedArray) -> bool:
        kind = column.type
        if name in _IDS and pa.types.is_fixed_size_binary(kind) and kind.byte_width == _IDS[name]:
            self._ready[name] = _whole(column)
            return True
        if name == "time" and pa.types.is_timestamp(kind):
            self._ready[name] = _whole(column.cast(pa.timestamp("us", kind.tz), safe=False)).cast(pa.int64())
            return True
        return self._plain(name, column)

    def _plain(self, name: str, column: pa.ChunkedArray) -> bool:
        """A column of single values."""
        kind = column.type
        if pa.types.is_dictionary(kind):
            if not _is_text(kind.value_type):
                return False
            self._grow(plain_size(column))
            column = column.cast(pa.large_string())
        elif _is_text(kind):
            self._grow(plain_size(column))
        wanted = _plain_kind(column.type)
        if wanted is None:
            return False
        if wanted == "text":
            if pa.types.is_string_view(column.type):
                column = column.cast(pa.large_string())
        elif wanted == "int":
            if pa.types.is_uint64(kind):
                return False
            column = column.cast(pa.int64())
        elif wanted == "float":
            column = column.cast(pa.float64())
        array = _whole(column)
        self._put(name, Column(array, wanted))
        return wanted != "float" or pc.all(pc.is_finite(array)).as_py() is not False

    def _data(self, column: pa.ChunkedArray) -> bool:
        if pa.types.is_struct(column.type):
            return self._struct(DATA, column)
        if not _is_text(column.type):
            return False
        return self._json(column)

    def _struct(self, prefix: str, column: pa.ChunkedArray) -> bool:
        whole = _whole(column)
        names = [field.name for field in whole.type]
        if len(set(names)) < len(names):
            return False
        for name, values in zip(names, whole.flatten(), strict=True):
            chunked = pa.chunked_array([values])
            read = self._plain(prefix + name, chunked) or self._nested(prefix + name, values)
            if not read and values.null_count < len(values):
                return False
        return True

    def _nested(self, name: str, values: pa.Array) -> bool:
        """Arrays and objects of texts and numbers become JSON text."""
        if not (pa.types.is_list(values.type) or pa.types.is_large_list(values.type)) or not (
            _plain_kind(values.type.value_type)
        ):
            return False
        series = pl.Series("k", pl.from_arrow(values))
        text = pl.select(pl.struct(series).struct.json_encode().str.slice(5).str.head(-1)).to_series()
        text = pl.select(pl.when(series.is_not_null()).then(text)).to_series()
        self._put(name, Column(text, "json"))
        return True

    def _json(self, column: pa.ChunkedArray) -> bool:
        """One JSON object a row."""
        self._grow(plain_size(column))
        parsed, _ = gather(_event(text) for text in column.to_pylist())
        for name, values in parsed.columns.items():
            self._put(name, values)
        self._ready |= parsed.ready
        self._doubtful = parsed.doubtful
        return True

    def _attributes(self, column: pa.ChunkedArray) -> bool:
        if pa.types.is_struct(column.type):
            return self._struct(ATTRIBUTE, column)
        if not pa.types.is_map(column.type):
            return False
        whole = map_of_attributes(column)
        if whole is None:
            return False
        self._ready["attributes"] = whole
        return True

    def _put(self, name: str, column: Column) -> None:
        if column.nulls < len(column):
            self._columns[name] = column

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.decompressed_bytes:
            raise TooLarge(f"the stream holds more than {self._limits.decompressed_bytes} bytes; send it in parts")


def _event(text: str | None) -> Any:
    """An event that has nothing but this as its data."""
    try:
        return {} if text is None else {"data": orjson.loads(text)}
    except orjson.JSONDecodeError:
        return None


class _Rows:
    """The rows of a table as values, for the row path."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def read(self, places: "np.ndarray[Any, np.dtype[np.int64]]") -> list[Row]:
        part = self._table.take(pa.array(places))
        return [
            (int(place), *_row(value))
            for place, value in zip(places, part.to_pylist(maps_as_pydicts=None), strict=True)
        ]


def _row(value: dict[str, Any]) -> tuple[Any, bytes]:
    plain = {name: _value(name, item) for name, item in value.items()}
    try:
        if isinstance(plain.get("data"), str):
            plain["data"] = orjson.loads(plain["data"])
        if isinstance(plain.get("attributes"), str):
            plain["attributes"] = orjson.loads(plain["attributes"])
        if isinstance(plain.get("attributes"), list):
            plain["attributes"] = dict(plain["attributes"])
    except (orjson.JSONDecodeError, TypeError, ValueError) as error:
        return Unreadable(f"has data or attributes that are no JSON object: {error}"), repr(value).encode()
    try:
        return plain, orjson.dumps(plain, default=_other)
    except (orjson.JSONEncodeError, ValueError):
        return plain, repr(value).encode(errors="replace")


def _value(name: str, item: Any) -> Any:
    if isinstance(item, bytes):
        return str(uuid.UUID(bytes=item)) if name == "id" and len(item) == 16 else item.hex()
    if isinstance(item, datetime):
        return (item if item.tzinfo else item.replace(tzinfo=UTC)).isoformat()
    if isinstance(item, dict):
        return {key: _value("", inner) for key, inner in item.items()}
    return [_value("", inner) for inner in item] if isinstance(item, list) else item


def _other(value: Any) -> str:
    return str(value)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return pa.concat_arrays(array.chunks) if isinstance(array, pa.ChunkedArray) else array


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


_KINDS: Final[tuple[tuple[Callable[[pa.DataType], bool], Kind], ...]] = (
    (_is_text, "text"),
    (pa.types.is_boolean, "bool"),
    (pa.types.is_integer, "int"),
    (pa.types.is_floating, "float"),
)


def _plain_kind(kind: pa.DataType) -> Kind | None:
    return next((name for fits, name in _KINDS if fits(kind)), None)
