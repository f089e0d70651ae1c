"""Record batches as bytes of a file, piece by piece: CSV, JSONL, Arrow IPC, Parquet."""

import io
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, Literal, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

Format = Literal["csv", "jsonl", "arrow", "parquet"]

#: Format → media type.
MEDIA_TYPES: Final[dict[Format, str]] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/x-ndjson",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}

#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA: Final = r"^[=+\-@\t\r]"


class Encoder(Protocol):
    """Turns batches into bytes; what is left comes out of :meth:`finish`."""

    def add(self, batch: pa.RecordBatch) -> bytes:
        """Bytes of one more batch."""
        ...

    def finish(self) -> bytes:
        """The end of the file."""
        ...


class _Pipe(io.RawIOBase):
    """A file that writers write to, and that is emptied after each batch."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def tell(self) -> int:
        return self._at

    def take(self) -> bytes:
        """What was written since the last time."""
        parts, self._parts = self._parts, []
        return b"".join(parts)


class CsvEncoder:
    """RFC 4180 with a header; text that a spreadsheet would take for a formula gets a ``'`` before it."""

    def __init__(self, schema: pa.Schema, *, keep_formulas: bool = False) -> None:
        self._keep, self._pipe = keep_formulas, _Pipe()
        flat = pa.schema([pa.field(field.name, _csv_type(field.type)) for field in schema])
        self._writer = pyarrow.csv.CSVWriter(self._pipe, flat)
        self._schema = flat

    def add(self, batch: pa.RecordBatch) -> bytes:
        columns = [self._cells(column.cast(to.type)) for column, to in zip(batch.columns, self._schema, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        return self._pipe.take()

    def finish(self) -> bytes:
        self._writer.close()
        return self._pipe.take()

    def _cells(self, column: pa.Array) -> pa.Array:
        if self._keep or not pa.types.is_string(column.type):
            return column
        risky = pc.fill_null(pc.match_substring_regex(column, _FORMULA), False)
        return pc.if_else(risky, pc.binary_join_element_wise("'", column, ""), column)


def _csv_type(kind: pa.DataType) -> pa.DataType:
    return pa.string() if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) else kind


class JsonlEncoder:
    """One JSON object a line; money as numbers, times as RFC 3339."""

    def __init__(self, schema: pa.Schema) -> None:
        del schema

    def add(self, batch: pa.RecordBatch) -> bytes:
        return b"".join(
            orjson.dumps(row, default=_plain, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)
            for row in batch.to_pylist()
        )

    def finish(self) -> bytes:
        return b""


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError


class ArrowEncoder:
    """An Arrow IPC stream."""

    def __init__(self, schema: pa.Schema) -> None:
        self._pipe = _Pipe()
        self._writer = pa.ipc.new_stream(self._pipe, schema)

    def add(self, batch: pa.RecordBatch) -> bytes:
        self._writer.write_batch(batch)
        return self._pipe.take()

    def finish(self) -> bytes:
        self._writer.close()
        return self._pipe.take()


class ParquetEncoder:
    """Parquet with zstd, one row group a batch."""

    def __init__(self, schema: pa.Schema) -> None:
        self._pipe = _Pipe()
        self._writer = pyarrow.parquet.ParquetWriter(self._pipe, schema, compression="zstd")

    def add(self, batch: pa.RecordBatch) -> bytes:
        self._writer.write_batch(batch)
        return self._pipe.take()

    def finish(self) -> bytes:
        self._writer.close()
        return self._pipe.take()


class Gzip:
    """Another encoder's bytes, compressed."""

    def __init__(self, inner: Encoder) -> None:
        self._inner = inner
        self._zip = zlib.compressobj(6, zlib.DEFLATED, 31)

    def add(self, batch: pa.RecordBatch) -> bytes:
        return self._zip.compress(self._inner.add(batch))

    def finish(self) -> bytes:
        return self._zip.compress(self._inner.finish()) + self._zip.flush()


def encoder(kind: Format, schema: pa.Schema, *, gzip: bool = False, keep_formulas: bool = False) -> Encoder:
    """The encoder of a format."""
    makers: dict[Format, Callable[[], Encoder]] = {
        "csv": lambda: CsvEncoder(schema, keep_formulas=keep_formulas),
        "jsonl": lambda: JsonlEncoder(schema),
        "arrow": lambda: ArrowEncoder(schema),
        "parquet": lambda: ParquetEncoder(schema),
    }
    made = makers[kind]()
    return Gzip(made) if gzip else made
