"""``application/x-ndjson``: one event a line; in columns where that loses nothing, else row by row."""

import re
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa

from core.errors import BadRequest, TooLarge
from ingest.batch import Arrival, Decoded, Rejected
from ingest.decode.finish import finish
from ingest.decode.gather import gather
from ingest.decode.learn import Shapes, merged
from ingest.decode.normalise import normalise
from ingest.decode.parse import REFUSALS, Parsed, parse
from ingest.decode.rows import decode_rows, read_row
from ingest.decode.tables import together
from ingest.limits import Limits

_BOM: Final = b"\xef\xbb\xbf"
#: Below this many bytes and rows columns cost more than they save.
_SMALL: Final = 8 << 10
_FEW: Final = 64
_TYPE: Final = re.compile(rb'"type"\s*:\s*"([^"]{1,100})"')

#: What has been learnt of the senders of this process.
_SHAPES: Final = Shapes()


def decode_ndjson(body: bytes, arrival: Arrival, limits: Limits) -> Decoded:
    """Decode lines of JSON; empty lines are no events, but they count in ``index``.

    Raises
    ------
    BadRequest
        There are no events in it.
    TooLarge
        There are more events than one body may have.
    """
    body = body.removeprefix(_BOM)
    if body.count(b"\n") >= limits.rows:
        raise TooLarge(f"the body has more than {limits.rows} lines; send it in parts", limit=limits.rows)
    decoded = _Lines(body, arrival, limits).decode()
    if not decoded.rows:
        raise BadRequest("the body holds no events")
    return finish(decoded, arrival)


class _Lines:
    """One body on its way; collects what its parts become."""

    def __init__(self, body: bytes, arrival: Arrival, limits: Limits) -> None:
        self._body = body
        self._arrival = arrival
        self._limits = limits
        self._tables: list[pa.Table] = []
        self._rejected: list[Rejected] = []
        self._all_ids = True
        self._dropped = 0
        self._quick = self._slow = 0
        self._lines: list[tuple[int, bytes]] | None = None

    def decode(self) -> Decoded:
        small = len(self._body) < _SMALL and len(self.lines()) <= _FEW
        if small or self._of_own_type() or not (self._strictly() or self._gathered()):
            self._one_by_one(range(len(self.lines())))
        self._rejected.sort(key=lambda row: row.index)
        path = "slow" if not self._quick else "mixed" if self._slow else "fast"
        tables = [table for table in self._tables if table.num_rows]
        table = together(tables) if tables else pa.table({})
        return Decoded(table, tuple(self._rejected), path, self._all_ids, self._dropped)

    def lines(self) -> list[tuple[int, bytes]]:
        """Index and bytes of the lines that are not empty; cut only when somebody asks."""
        if self._lines is None:
            cut = enumerate(self._body.split(b"\n"))
            self._lines = [(index, line) for index, line in cut if line and not line.isspace()]
        return self._lines

    def _strictly(self) -> bool:
        """Lines without values inside values; False when they are not all like that, or not like the last ones."""
        shape = _SHAPES.get(self._sender())
        parsed = parse(self._body, shape) if shape is not None else None
        return parsed is not None and self._normalised(parsed)

    def _gathered(self) -> bool:
        """Lines of any shape, which is remembered."""
        parsed, found = gather(_event(line) for _, line in self.lines())
        sender = self._sender()
        before = _SHAPES.get(sender)
        shape = merged(before, found)
        if shape != before:
            _SHAPES.put(sender, shape)
        return self._normalised(parsed)

    def _normalised(self, parsed: Parsed) -> bool:
        """Keep columns of all lines; those in doubt go one by one. False when a library gives up."""
        try:
            normalised = normalise(parsed, self._arrival, lambda: [index for index, _ in self.lines()])
        except REFUSALS:
            return False
        doubtful = normalised.doubtful
        if len(self._body) > self._limits.row_bytes:
            doubtful = doubtful | np.array([len(line) > self._limits.row_bytes for _, line in self.lines()])
        self._all_ids = self._all_ids and normalised.all_ids
        self._dropped += normalised.dropped_bodies
        table = normalised.good(doubtful)
        self._tables.append(table)
        self._quick += table.num_rows
        if doubtful.any():
            self._one_by_one(np.flatnonzero(doubtful).tolist())
        return True

    def _of_own_type(self) -> bool:
        """Whether the tenant's own types are sent here: their rows go one by one anyway, each to its schema."""
        found = _TYPE.search(self._body[:4096]) if self._arrival.types else None
        return found is not None and found.group(1).decode(errors="replace") in self._arrival.types

    def _sender(self) -> object:
        found = _TYPE.search(self._body[:4096])
        return self._arrival.tenant, found.group(1) if found else b""

    def _one_by_one(self, places: Iterable[int]) -> None:
        lines = self.lines()
        decoded = decode_rows([read_row(*lines[place]) for place in places], self._arrival, self._limits.row_bytes)
        self._tables.append(decoded.table)
        self._rejected.extend(decoded.rejected)
        self._all_ids = self._all_ids and decoded.all_ids
        self._dropped += decoded.dropped_bodies
        self._slow += decoded.rows


def _event(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
