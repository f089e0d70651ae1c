"""Reads recorded traffic: events in NDJSON and Arrow IPC, OTLP in JSON; plain, gzip or zstd; in constant memory."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from core.errors import BadRequest
from hub.recordings import arrow, ndjson, otlp
from hub.recordings.opening import opened
from hub.recordings.piece import Counted, Cut, Piece


class _Form(Protocol):
    """A module that reads one form."""

    def pieces(self, reader: io.BufferedReader, cut: Cut) -> Iterator[Piece]: ...

    def last_time(self, reader: io.BufferedReader) -> int | None: ...


_FORMS: dict[str, _Form] = {"ndjson": ndjson, "arrow": arrow, "otlp": otlp}


def read_pieces(path: Path, cut: Cut, counted: Counted | None = None) -> Iterator[Piece]:
    """The pieces of a recording, in the order of the file; ``counted`` is kept up to date for a progress bar."""
    with opened(path, counted) as (form, reader):
        try:
            yield from _FORMS[form].pieces(reader, cut)
        except BadRequest as error:
            raise BadRequest(f"{path}: {error.detail}") from error


def last_time(path: Path) -> int | None:
    """The latest time in a recording, in microseconds of the epoch; reads the whole file."""
    with opened(path) as (form, reader):
        return _FORMS[form].last_time(reader)


__all__ = ["Counted", "Cut", "Piece", "last_time", "read_pieces"]
