"""Lines of JSON → Arrow columns by a parser that is as strict as the row path.

pyarrow's reader refuses a field it was not told of, a field that comes twice, a number where text is expected. It
reads no lists or objects inside. What it lets through, or worse, is looked for here.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.json

from ingest.decode.column import Column, one_chunk
from ingest.decode.learn import Kind, Shape

_TYPES: Final[Mapping[Kind, pa.DataType]] = {
    "text": pa.string(),
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "null": pa.null(),
}
_OPENING, _CLOSING, _NEWLINE = b"{}\n"
#: What may follow a closing brace outside texts.
_AFTER: Final = np.isin(np.arange(256), np.frombuffer(b",}]\n", np.uint8))


def read_strictly(body: bytes, shape: Shape, prefixes: Mapping[str, str]) -> dict[str, Column] | None:
    """The columns of a body by flat name; None where this parser is not certain, or not able.

    Parameters
    ----------
    body
        Lines of JSON.
    shape
        What is expected in them.
    prefixes
        Prefix of the flat names of ``data`` and of ``attributes``.
    """
    if shape.attributes is None or shape.has_nul:  # the libraries cut such a name short
        return None
    if shape.nested and b'":[' in body:
        return None
    text = body.rstrip(b" \t\r\n")
    rows = _lines(text)
    return None if rows is None else _read(text, rows, _plain(shape), prefixes)


def _plain(shape: Shape) -> Shape:
    """Where values may be objects there may be none in this body: then they are texts."""
    if not shape.nested:
        return shape
    return Shape(*(_texts(kinds) for kinds in (shape.envelope, shape.data, shape.attributes or {})))


def _texts(kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    return {name: "text" if kind == "json" else kind for name, kind in kinds.items()}


def _read(text: bytes, rows: int, shape: Shape, prefixes: Mapping[str, str]) -> dict[str, Column] | None:
    try:
        table = pyarrow.json.read_json(
            pa.BufferReader(text),
            pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            pyarrow.json.ParseOptions(explicit_schema=_schema(shape), unexpected_field_behavior="error"),
        )
    except pa.ArrowException:
        return None
    if table.num_rows != rows:  # several events on one line
        return None
    return _flat(table, shape, prefixes)


def _schema(shape: Shape) -> pa.Schema:
    parts = (shape.envelope, shape.data, shape.attributes or {})
    return _schema_of(tuple(tuple(part.items()) for part in parts))


@lru_cache(maxsize=64)
def _schema_of(parts: tuple[tuple[tuple[str, Kind], ...], ...]) -> pa.Schema:
    envelope, data, attributes = ([pa.field(name, _TYPES[kind]) for name, kind in part] for part in parts)
    return pa.schema([*envelope, pa.field("data", pa.struct(data)), pa.field("attributes", pa.struct(attributes))])


def _lines(text: bytes) -> int | None:
    """How many lines there are; None unless each is an object and nothing else stands between them.

    A value other than an object at the top level would crash the reader (``null`` does, in 26.0): every line has to
    begin with a brace, and behind each closing brace (also of nested objects) may only stand what JSON allows there.
    """
    if not (text.startswith(b"{") and text.endswith(b"}")):
        return None
    array = np.frombuffer(text, np.uint8)
    closing = np.flatnonzero(array[:-1] == _CLOSING)
    after = array[closing + 1]
    ends = closing[after == _NEWLINE]
    if not _AFTER[after].all() or not (array[ends + 2] == _OPENING).all() or text.count(b"\n") != len(ends):
        return None
    if not text.isascii():
        try:
            text.decode()
        except UnicodeDecodeError:
            return None
    return len(ends) + 1


def _flat(table: pa.Table, shape: Shape, prefixes: Mapping[str, str]) -> dict[str, Column] | None:
    columns: dict[str, Column] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        array = one_chunk(column)
        if name not in prefixes:
            columns[name] = Column(array, shape.envelope[name])
            continue
        kinds = shape.data if name == "data" else shape.attributes or {}
        for field, values in zip(array.type, array.flatten(), strict=True):
            columns[prefixes[name] + field.name] = Column(values, kinds[field.name])
    used = {name: column for name, column in columns.items() if column.nulls < table.num_rows}
    for column in used.values():
        if column.kind == "float" and not np.isfinite(column.numbers).all():
            return None  # NaN and Infinity are no JSON
    return used
