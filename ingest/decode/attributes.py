"""Attributes: columns of texts → one map a row."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode.checks import too_long
from ingest.decode.column import Column, one_chunk
from ingest.decode.texts import Mask
from schemas.arrow import LOG_SCHEMA
from schemas.envelope import MAX_ATTRIBUTE_LENGTH, MAX_ATTRIBUTES
from schemas.fields import NAME_LENGTH

_TYPE: Final = LOG_SCHEMA.field("attributes").type


def attributes_of_columns(columns: Mapping[str, Column], rows: int) -> tuple[pa.Array, Mask]:
    """One map a row of the columns that have a value there, and which rows are in doubt."""
    names = sorted(columns)
    wrong: Mask = np.zeros(rows, np.bool_)
    arrays = []
    for name in names:
        column = columns[name]
        wrong |= _doubtful(name, column)
        plain = column.kind in ("text", "json")
        array = column.array if plain else one_chunk(column.series.cast(pl.String).to_arrow())
        arrays.append(array.cast(pa.string()))
    valid = np.column_stack([columns[name].valid for name in names])
    counts = valid.sum(axis=1)
    if len(names) == 1 and columns[names[0]].full:
        keys, values = pa.nulls(rows, pa.string()).fill_null(names[0]), arrays[0]
    else:
        at, of = np.nonzero(valid)
        keys = pa.array(names, pa.string()).take(pa.array(of))
        values = pa.concat_arrays(arrays).take(pa.array(of * rows + at))
    return maps(counts, keys, values), wrong | (counts > MAX_ATTRIBUTES)


def _doubtful(name: str, column: Column) -> Mask:
    """Values that are too long, under a name that is too long, or written in more than one way."""
    if len(name) > NAME_LENGTH or column.kind in ("float", "json"):
        return column.valid
    found = too_long(column, MAX_ATTRIBUTE_LENGTH) if column.kind == "text" else None
    return np.zeros(len(column), np.bool_) if found is None else found


def attributes_of_text(column: Column) -> tuple[pa.Array, Mask]:
    """The same of JSON text: too many names for columns, so one row after the other after all."""
    wrong: Mask = np.zeros(len(column), np.bool_)
    pairs: list[list[tuple[str, str]] | None] = []
    for row, text in enumerate(column.series):
        value = orjson.loads(text) if text is not None else {}
        plain = len(value) <= MAX_ATTRIBUTES and all(
            isinstance(item, str) and len(item) <= MAX_ATTRIBUTE_LENGTH and len(key) <= NAME_LENGTH
            for key, item in value.items()
        )
        wrong[row] = not plain
        pairs.append(sorted(value.items()) if plain and value else None)
    return pa.array(pairs, _TYPE), wrong


def maps(counts: npt.NDArray[np.int64], keys: pa.Array, values: pa.Array) -> pa.Array:
    """One map a row: ``counts`` says how many of the keys and values each has."""
    offsets = np.zeros(len(counts) + 1, np.int32)
    np.cumsum(counts, out=offsets[1:])
    bitmap = pa.py_buffer(np.packbits(counts > 0, bitorder="little"))
    entries = pa.StructArray.from_arrays(
        [keys, values.cast(pa.string())],
        fields=[pa.field("key", pa.string(), nullable=False), pa.field("value", pa.string())],
    )
    return pa.Array.from_buffers(_TYPE, len(counts), [bitmap, pa.py_buffer(offsets)], children=[entries])


def map_of_attributes(column: pa.ChunkedArray) -> pa.Array | None:
    """A column of maps as the log keeps it; None where a row must be looked at: too many, too long, twice, or null."""
    if not (_is_text(column.type.key_type) and _is_text(column.type.item_type)):
        return None
    # Copied together: what lies before, behind or between the rows of a slice is not theirs.
    array = pa.concat_arrays([chunk.take(pa.array(np.arange(len(chunk)))) for chunk in column.chunks])
    array = array.cast(LOG_SCHEMA.field("attributes").type)
    keys, items = array.keys, array.items
    if items.null_count or not len(keys):
        return None
    counts = np.diff(array.offsets.to_numpy())
    longest = [pc.max(pc.binary_length(texts)).as_py() for texts in (keys, items)]
    if counts.max() > MAX_ATTRIBUTES or longest[0] > NAME_LENGTH or longest[1] > MAX_ATTRIBUTE_LENGTH:
        return None
    names = pc.dictionary_encode(keys)
    owners = np.repeat(np.arange(len(counts)), counts)
    if len(np.unique(owners * len(names.dictionary) + names.indices.to_numpy())) < len(owners):
        return None
    return array


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
