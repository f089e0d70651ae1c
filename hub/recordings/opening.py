"""Opens a recording whatever its compression, and tells what it is by its first bytes."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import pyarrow as pa
import zstandard

from core.errors import BadRequest, NotFound
from hub.recordings.piece import Counted

Form = Literal["ndjson", "arrow", "otlp"]

_GZIP, _ZSTD, _ARROW_FILE, _ARROW_STREAM = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"ARROW1", b"\xff\xff\xff\xff"
_OTLP = (b'"resourceSpans"', b'"resourceLogs"', b'"resourceMetrics"')
_LOOK = 4096


class _Counting(io.RawIOBase):
    """A raw file that says how far it has been read."""

    def __init__(self, file: BinaryIO, counted: Counted) -> None:
        self._file = file
        self._counted = counted

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._counted.read += len(data)
        return len(data)


@contextmanager
def opened(path: Path, counted: Counted | None = None) -> Iterator[tuple[Form, io.BufferedReader]]:
    """The form of a recording and its decompressed bytes, from the start.

    Raises
    ------
    NotFound
        There is no such file.
    BadRequest
        It is cut off, damaged, or in no form that is read here.
    """
    counted = counted or Counted(path, 0)
    try:
        with path.open("rb") as file:
            reader = _decompressed(io.BufferedReader(_Counting(file, counted), 1 << 18))
            yield _form(reader, path), reader
    except FileNotFoundError as error:
        raise NotFound(f"{path}: no such file") from error
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError, pa.ArrowInvalid) as error:
        raise BadRequest(f"{path}: damaged or cut off ({error})") from error


def _decompressed(raw: io.BufferedReader) -> io.BufferedReader:
    head = raw.peek(4)[:4]
    if head.startswith(_GZIP):
        return io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=raw)), 1 << 18)
    if head == _ZSTD:
        stream = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(cast(io.RawIOBase, stream), 1 << 18)
    return raw


def _form(reader: io.BufferedReader, path: Path) -> Form:
    head = reader.peek(_LOOK)[:_LOOK]
    if head.startswith((_ARROW_FILE, _ARROW_STREAM)):
        return "arrow"
    text = head.lstrip()
    if text.startswith(b"[") or (text and not text.startswith(b"{")):
        raise BadRequest(f"{path}: neither NDJSON (one object a line), nor OTLP JSON, nor Arrow IPC")
    return "otlp" if any(name in head for name in _OTLP) else "ndjson"
