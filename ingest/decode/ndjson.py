"""``application/x-ndjson``: one event a line; in columns where that loses nothing, else row by row."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from core.errors import BadRequest, TooLarge
from ingest.batch import Arrival, Decoded, Rejected
from ingest.decode.finish import finish
from ingest.decode.learn import Shape, Shapes, learn
from ingest.decode.normalise import normalise
from ingest.decode.parse import REFUSALS, parse
from ingest.decode.rows import decode_rows, read_row
from ingest.decode.tables import together
from ingest.decode.texts import Mask
from ingest.limits import Limits

_AskLines = Callable[[], Sequence[tuple[int, bytes]]]

_BOM: Final = b"\xef\xbb\xbf"
#: Below this many bytes columns cost more than they save.
_SMALL: Final = 8 << 10
#: Rows that are not worth cutting further when one of them is in doubt.
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
        body = self._body
        if len(body) < _SMALL or self._escaped() or not self._columns(body, None):
            self._parts()
        path = "slow" if not self._quick else "mixed" if self._slow else "fast"
        self._rejected.sort(key=lambda row: row.index)
        tables = [table for table in self._tables if table.num_rows]
        table = together(tables) if tables else pa.table({})
        return Decoded(table, tuple(self._rejected), path, self._all_ids, self._dropped)

    def lines(self) -> list[tuple[int, bytes]]:
        """Index and bytes of the lines that are not empty; cut only when somebody asks."""
        if self._lines is None:
            cut = enumerate(self._body.split(b"\n"))
            self._lines = [(index, line) for index, line in cut if line and not line.isspace()]
        return self._lines

    def _escaped(self) -> bool:
        """Whether there are escapes, and this sender's texts may be nested: columns cannot be sure of those."""
        if b"\\" not in self._body:
            return False
        shape = _SHAPES.get(self._sender(self._body))
        return shape is not None and shape.nested

    def _columns(self, body: bytes, lines: Sequence[tuple[int, bytes]] | None, *, may_learn: bool = False) -> bool:
        """Decode in columns; False when that would lose something. ``lines`` None means all of them."""
        sender = self._sender(body)
        shape = _SHAPES.get(sender)
        parsed = parse(body, shape) if shape is not None else None
        if parsed is None and (lines is None or may_learn):
            shape = self._learn(sender, shape)
            parsed = parse(body, shape) if shape is not None else None
        if parsed is None:
            return False
        mine: _AskLines = self.lines if lines is None else lambda: lines
        try:
            normalised = normalise(parsed, self._arrival, lambda: [index for index, _ in mine()])
        except REFUSALS:
            return False
        doubtful = normalised.doubtful | self._too_long(body, mine)
        self._all_ids = self._all_ids and normalised.all_ids
        self._dropped += normalised.dropped_bodies
        table = normalised.good(doubtful)
        if doubtful.any():
            all_lines = mine()
            self._one_by_one([all_lines[row] for row in np.flatnonzero(doubtful).tolist()])
        self._tables.append(table)
        self._quick += table.num_rows
        return True

    def _sender(self, body: bytes) -> object:
        found = _TYPE.search(body[:4096])
        return self._arrival.tenant, found.group(1) if found else b""

    def _learn(self, sender: object, before: Shape | None) -> Shape | None:
        learnt = learn([line for _, line in self.lines()], before)
        if learnt == before:
            return None
        _SHAPES.put(sender, learnt)
        return learnt

    def _too_long(self, body: bytes, mine: _AskLines) -> Mask | bool:
        if len(body) <= self._limits.row_bytes:
            return False
        return np.fromiter((len(line) > self._limits.row_bytes for _, line in mine()), np.bool_)

    def _parts(self) -> None:
        """Something is in doubt: cut the body until the doubt is in few rows.

        Nested texts with escapes always are: lines with a backslash go row by row, and the others are tried again.
        """
        plain = [line for line in self.lines() if b"\\" not in line[1]]
        first = len(plain) == len(self.lines())
        if not first:
            self._one_by_one(line for line in self.lines() if b"\\" in line[1])
        pending = [plain] if plain else []
        while pending:
            lines = pending.pop()
            if len(lines) <= _FEW:
                self._one_by_one(lines)
            elif first or not self._columns(b"\n".join(line for _, line in lines), lines, may_learn=lines is plain):
                middle = len(lines) // 2
                pending += [lines[middle:], lines[:middle]]
            first = False

    def _one_by_one(self, lines: Iterable[tuple[int, bytes]]) -> None:
        decoded = decode_rows([read_row(*line) for line in lines], self._arrival, self._limits.row_bytes)
        self._tables.append(decoded.table)
        self._rejected.extend(decoded.rejected)
        self._all_ids = self._all_ids and decoded.all_ids
        self._dropped += decoded.dropped_bodies
        self._slow += decoded.rows
