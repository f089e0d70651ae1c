"""Reading an Arrow IPC stream that somebody sent: measured before it is unpacked, checked before it is used."""

import struct
from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from core.errors import BadRequest, TooLarge
from ingest.limits import Limits

_DICTIONARY, _BATCH = 2, 3
_VTABLE_HEADER: Final = 4
_MOST_FIELDS: Final = 2_000


def read_stream(body: bytes, limits: Limits) -> pa.Table:
    """The table of an Arrow IPC stream.

    Raises
    ------
    BadRequest
        It is no such stream, or its bytes contradict each other.
    TooLarge
        It would become larger than a body may be once decompressed, or has too many rows.
    """
    try:
        _measure(body, limits)
        with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
            if len(reader.schema) > _MOST_FIELDS:
                raise BadRequest(f"the stream has more than {_MOST_FIELDS} columns")
            table = reader.read_all()
        table.validate(full=True)
        _read_names(table.schema)
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, struct.error, NotImplementedError) as error:
        raise BadRequest(f"the body is no valid Arrow IPC stream: {_first_line(error)}") from None
    return table


def plain_size(column: pa.ChunkedArray) -> int:
    """Bytes of a column of texts when each row has its own: a dictionary may repeat a long text a million times."""
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return sum(_texts_size(chunk) for chunk in column.chunks if len(chunk))
    if not pa.types.is_dictionary(column.type):
        return int(pc.sum(pc.binary_length(column)).as_py() or 0)
    size = 0
    for chunk in column.chunks:
        lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
        size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    return int(size)


def _texts_size(chunk: pa.Array) -> int:
    """What lies between the first and the last offset."""
    plain = memoryview(chunk.buffers()[1]).cast("B")
    offsets = plain.cast("q") if pa.types.is_large_string(chunk.type) else plain.cast("i")
    return int(offsets[chunk.offset + len(chunk)] - offsets[chunk.offset])


def _measure(body: bytes, limits: Limits) -> None:
    """Add up what the buffers say they become, without unpacking one."""
    size = rows = 0
    for metadata, content in _messages(body):
        header_type, header = _header(metadata)
        if header_type == _DICTIONARY:
            header = _child(metadata, header, 1)
        elif header_type != _BATCH:
            continue
        rows += _int64(metadata, header, 0)
        size += _plain_bytes(metadata, header, content)
        if size > limits.decompressed_bytes:
            raise TooLarge(f"the stream holds more than {limits.decompressed_bytes} bytes; send it in parts")
        if rows > limits.rows:
            raise TooLarge(f"the stream has more than {limits.rows} rows; send it in parts")


def _messages(body: bytes) -> Iterator[tuple[memoryview, memoryview]]:
    reader = pa.ipc.MessageReader.open_stream(pa.BufferReader(body))
    while True:
        try:
            message = reader.read_next_message()
        except StopIteration:
            return
        yield memoryview(message.metadata), memoryview(message.body) if message.body is not None else memoryview(b"")


def _plain_bytes(metadata: memoryview, batch: int, content: memoryview) -> int:
    """What the buffers of a record batch become; compressed ones begin with their plain length."""
    compressed = _field(metadata, batch, 3) is not None
    at = _field(metadata, batch, 2)
    if at is None:
        return 0
    vector = at + _unpack("<I", metadata, at)
    size = 0
    for number in range(_unpack("<I", metadata, vector)):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * number)
        if not compressed or length == 0:
            size += max(length, 0)
            continue
        plain = _unpack("<q", content, offset)
        if plain < -1:
            raise BadRequest("the body is no valid Arrow IPC stream: a buffer has a negative length")
        size += length if plain == -1 else plain
    return size


def _header(metadata: memoryview) -> tuple[int, int]:
    """Type and place of a message's header, in its flatbuffer."""
    root = _unpack("<I", metadata, 0)
    kind = _field(metadata, root, 1)
    return (0 if kind is None else metadata[kind]), _child(metadata, root, 2)


def _field(metadata: memoryview, table: int, number: int) -> int | None:
    """Where a field of a flatbuffer table lies, if it is there."""
    vtable = table - _unpack("<i", metadata, table)
    place = _VTABLE_HEADER + 2 * number
    if place >= _unpack("<H", metadata, vtable):
        return None
    offset = _unpack("<H", metadata, vtable + place)
    return table + offset if offset else None


def _child(metadata: memoryview, table: int, number: int) -> int:
    at = _field(metadata, table, number)
    if at is None:
        raise BadRequest("the body is no valid Arrow IPC stream: a message without a header")
    return at + _unpack("<I", metadata, at)


def _int64(metadata: memoryview, table: int, number: int) -> int:
    at = _field(metadata, table, number)
    return 0 if at is None else max(_unpack("<q", metadata, at), 0)


def _unpack(form: str, data: memoryview, at: int) -> int:
    value: int = struct.unpack_from(form, data, at)[0]
    return value


def _read_names(fields: Iterable[pa.Field]) -> None:
    """Names that are no Unicode raise here, and nowhere else."""
    for field in fields:
        assert isinstance(field.name, str)
        _read_names(field.type.field(number) for number in range(field.type.num_fields))


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
