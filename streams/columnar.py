"""Columns as numbers: codes of text columns, groups over several of them, views of ids, money as decimals.

The steps loop over distinct values and combinations, never over events; what is here turns the one into the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: Money is kept with ten decimals.
MONEY: Final = pa.decimal128(18, 10)
MONEY_SCALE: Final = 10**10
_MOST_MONEY: Final = 99_999_999.0
_DENSE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Codes:
    """A text column as numbers.

    Parameters
    ----------
    codes
        One number a row, an index into ``values``.
    values
        The distinct values; None stands for null.
    """

    codes: Ints
    values: list[str | None]


def flat(column: Any) -> Any:
    """A column in one piece, dictionaries of its chunks unified."""
    if not isinstance(column, pa.ChunkedArray):
        return column
    if column.num_chunks == 1:
        return column.chunk(0)
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks() if column.num_chunks else pa.array([], column.type)


def codes_of(table: pa.Table, name: str) -> Codes:
    """The codes of a text column; all null where the table has no such column."""
    if name not in table.column_names:
        return Codes(np.zeros(table.num_rows, np.int64), [None])
    array = flat(table.column(name))
    if not pa.types.is_dictionary(array.type):
        array = pc.dictionary_encode(array)
    values: list[str | None] = array.dictionary.to_pylist()
    indices = array.indices
    if indices.null_count:
        indices = pc.fill_null(indices, len(values))
        values = [*values, None]
    return Codes(np.asarray(indices).astype(np.int64, copy=False), values or [None])


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows that agree in several columns.

    Parameters
    ----------
    ids
        The group of every row, from 0.
    firsts
        The first row of every group.
    """

    ids: Ints
    firsts: Ints

    def __len__(self) -> int:
        return len(self.firsts)


def group(columns: Sequence[Ints], sizes: Sequence[int]) -> Groups:
    """Group rows by several columns of non-negative numbers below ``sizes``.

    Examples
    --------
    >>> groups = group([np.array([1, 0, 1, 1]), np.array([0, 0, 0, 1])], [2, 2])
    >>> groups.ids.tolist(), groups.firsts.tolist()
    ([1, 0, 1, 2], [1, 0, 3])
    """
    rows = len(columns[0])
    combined, size = np.zeros(rows, np.int64), 1
    for column, span in zip(columns, sizes, strict=True):
        if span == 1:
            continue
        if size * span >= 1 << 62:
            compact = _dense(combined, size)
            combined, size = compact.ids, len(compact)
        combined, size = combined * span + column, size * span
    return _dense(combined, size)


def _dense(keys: Ints, size: int) -> Groups:
    rows = len(keys)
    if size > max(_DENSE, 4 * rows):
        _, firsts, ids = np.unique(keys, return_index=True, return_inverse=True)
        return Groups(ids.astype(np.int64, copy=False), firsts.astype(np.int64, copy=False))
    first = np.full(size, -1, np.int64)
    first[keys[::-1]] = np.arange(rows - 1, -1, -1)
    used = np.flatnonzero(first >= 0)
    number = np.zeros(size, np.int64)
    number[used] = np.arange(len(used))
    return Groups(number[keys], first[used])


def ints(table: pa.Table, name: str) -> tuple[Ints, Bools]:
    """A whole-number column with 0 for null, and where it is not null."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.int64), np.zeros(table.num_rows, np.bool_)
    array = flat(table.column(name))
    return np.asarray(pc.fill_null(array, 0)), _present(array)


def floats(table: pa.Table, name: str) -> tuple[Floats, Bools]:
    """A number column with 0 for null, and where it is not null."""
    if name not in table.column_names:
        return np.zeros(table.num_rows), np.zeros(table.num_rows, np.bool_)
    array = flat(table.column(name))
    return np.asarray(pc.fill_null(array, 0.0)), _present(array)


def flags(table: pa.Table, name: str) -> Bools:
    """Where a flag is true."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.bool_)
    return np.asarray(pc.fill_null(flat(table.column(name)), False))


def micros(table: pa.Table, name: str) -> Ints:
    """A time column as microseconds since 1970."""
    return np.asarray(flat(table.column(name)).view(pa.int64()))


def words(table: pa.Table, name: str) -> npt.NDArray[np.uint64]:
    """A column of 16-byte ids as two numbers a row, without a copy."""
    array = flat(table.column(name))
    data = np.frombuffer(array.buffers()[1], np.uint64)
    return data[2 * array.offset : 2 * (array.offset + len(array))].reshape(-1, 2)


def _present(array: Any) -> Bools:
    return np.asarray(array.is_valid()) if array.null_count else np.ones(len(array), np.bool_)


def money(values: Floats, present: Bools) -> pa.Array:
    """Dollars as ``Decimal(18, 10)``, null where not present, the nearest decimal otherwise.

    Examples
    --------
    >>> money(np.array([0.1, 2.0]), np.array([True, False])).to_pylist()
    [Decimal('0.1000000000'), None]
    """
    units = np.zeros((len(values), 2), "<i8")
    units[:, 0] = np.rint(np.minimum(np.where(present, values, 0.0), _MOST_MONEY) * MONEY_SCALE)
    bits = None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(MONEY, len(values), [bits, pa.py_buffer(units)])


def nullable(values: npt.NDArray[Any], present: Bools, kind: pa.DataType) -> pa.Array:
    """Numbers as an Arrow array that is null where not present."""
    return pa.array(values, kind, mask=None if present.all() else ~present)


def text(codes: npt.NDArray[Any], values: Sequence[str | None]) -> pa.Array:
    """Text from codes, as a dictionary column; None among the values becomes null."""
    known = [value for value in values if value is not None]
    number = {value: index for index, value in enumerate(known)}
    target = np.array([-1 if value is None else number[value] for value in values], np.int32)
    indices = target[codes]
    return pa.DictionaryArray.from_arrays(pa.array(indices, pa.int32(), mask=indices < 0), pa.array(known, pa.string()))


def put(table: pa.Table, name: str, column: Any) -> pa.Table:
    """The table with a column added or replaced."""
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)
