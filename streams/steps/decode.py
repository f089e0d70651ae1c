"""Log records to one table.

A record is an Arrow IPC stream of a batch of events with only the columns that it needs, either compressed buffer by
buffer or, better, as a whole in one zstd frame: a thousand rows have some forty buffers, and a decompression context
for each costs ten times the decompression. Different records have different columns; a block has those that at least
one of its records has.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import zstandard

from core.errors import Poison
from schemas.arrow import LOG_SCHEMA

#: What no event can be without.
REQUIRED: Final = ("tenant", "received_at", "id", "type", "source", "time")

#: No record of a sane sender is larger; what claims to be is refused before it takes the memory.
_MOST_BYTES: Final = 1 << 30
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_LOCAL: Final = threading.local()

_EMPTY: Final = pa.schema([LOG_SCHEMA.field(name) for name in REQUIRED]).empty_table()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that cannot be processed: its place in the block and why."""

    index: int
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """The events of a block, how many each record has, and the records that gave none."""

    table: pa.Table
    rejected: tuple[Rejected, ...]
    rows: tuple[int, ...]


def decode(values: Sequence[bytes | None]) -> Decoded:
    """All records of a block as one table, rows in the order of the log."""
    tables: list[pa.Table] = []
    rejected: list[Rejected] = []
    rows = [0] * len(values)
    for index, value in enumerate(values):
        try:
            tables.append(decode_record(value))
            rows[index] = tables[-1].num_rows
        except Poison as error:
            rejected.append(Rejected(index, error.detail))
    return Decoded(_concat(tables), tuple(rejected), tuple(rows))


def decode_record(value: bytes | None, columns: Sequence[str] | None = None) -> pa.Table:
    """The events of one record.

    Parameters
    ----------
    value
        Arrow IPC stream, plain or in a zstd frame.
    columns
        Only these columns; all by default.

    Raises
    ------
    Poison
        No Arrow stream, a column that no event has, a wrong type, or an event without what it cannot be without.
    """
    if not value:
        raise Poison("The record is empty.")
    try:
        return _checked(_read(_plain(value), columns), REQUIRED if columns is None else columns)
    except (pa.ArrowException, zstandard.ZstdError, OSError, ValueError, TypeError, KeyError) as error:
        raise Poison(f"The record is no Arrow stream: {str(error)[:200]}") from error


def _plain(value: bytes) -> bytes:
    if not value.startswith(_ZSTD_MAGIC):
        return value
    size = zstandard.frame_content_size(value)
    if not 0 <= size <= _MOST_BYTES:
        raise Poison(f"The record says that it is {size} bytes large when decompressed.")
    # A decompressor must not be shared by threads.
    if not hasattr(_LOCAL, "zstd"):
        _LOCAL.zstd = zstandard.ZstdDecompressor()
    plain: bytes = _LOCAL.zstd.decompress(value)
    return plain


def _read(value: bytes, columns: Sequence[str] | None) -> pa.Table:
    if columns is None:
        with pa.ipc.open_stream(value) as reader:
            table = reader.read_all()
    else:
        with pa.ipc.open_stream(value) as reader:
            wanted = [i for i, name in enumerate(reader.schema.names) if name in columns]
        options = pa.ipc.IpcReadOptions(included_fields=wanted)
        with pa.ipc.open_stream(value, options=options) as reader:
            table = reader.read_all()
    # A damaged body can still decompress. Unchecked offsets would end the process, again and again: 0.1 µs an event.
    table.validate(full=True)
    return table


def _checked(table: pa.Table, required: Sequence[str]) -> pa.Table:
    names = table.column_names
    if len(set(names)) != len(names):
        raise Poison("A column comes twice.")
    for index, field in enumerate(table.schema):
        wanted = _wanted(field)
        if wanted != field.type:
            table = table.set_column(index, field.name, _cast(table.column(index), field.name, wanted))
    for name in required:
        if name not in names:
            raise Poison(f"The column {name} is missing.")
        if table.column(name).null_count:
            raise Poison(f"The column {name} has nulls.")
    return table


def _wanted(field: pa.Field) -> pa.DataType:
    """The type a column is to have: that of the log's schema, text also as a dictionary."""
    position = LOG_SCHEMA.get_field_index(field.name)
    if position < 0:
        raise Poison(f"No event has a column {field.name!r}.")
    wanted = LOG_SCHEMA.field(position).type
    if wanted == pa.string() and pa.types.is_dictionary(field.type):
        return pa.dictionary(pa.int32(), pa.string())
    return wanted


def _cast(column: Any, name: str, wanted: pa.DataType) -> Any:
    try:
        return column.cast(wanted)
    except (pa.ArrowException, NotImplementedError) as error:
        raise Poison(f"The column {name} is {column.type}, not {wanted}.") from error


def _concat(tables: list[pa.Table]) -> pa.Table:
    if not tables:
        return _EMPTY
    joined = pa.concat_tables(_same_text(tables), promote_options="default")
    return joined.unify_dictionaries().combine_chunks()


def _same_text(tables: list[pa.Table]) -> list[pa.Table]:
    """A column that is a dictionary in one record and plain text in another becomes a dictionary in all."""
    kinds: dict[str, set[bool]] = {}
    for schema in {table.schema for table in tables}:
        for field in schema:
            kinds.setdefault(field.name, set()).add(pa.types.is_dictionary(field.type))
    mixed = [name for name, seen in kinds.items() if len(seen) > 1]
    return [_as_dictionaries(table, mixed) for table in tables] if mixed else tables


def _as_dictionaries(table: pa.Table, names: list[str]) -> pa.Table:
    for name in names:
        index = table.schema.get_field_index(name)
        if index >= 0 and not pa.types.is_dictionary(table.schema.field(index).type):
            table = table.set_column(index, name, table.column(index).dictionary_encode())
    return table
