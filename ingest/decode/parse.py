"""Lines of JSON → flat columns that hold everything that the lines do, or nothing at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl
import pyarrow as pa

from ingest.decode.column import Column
from ingest.decode.flatten import Flat
from ingest.decode.learn import Shape
from ingest.decode.strict import read_flat, read_strictly

DATA: Final = "d."
ATTRIBUTE: Final = "a."
_PREFIXES: Final = {"data": DATA, "attributes": ATTRIBUTE}
#: Rows that are not worth cutting further when one of them is in doubt.
_FEW: Final = 64

#: What the libraries raise at values they cannot handle; the row path can.
REFUSALS: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body as columns: the envelope's under their names, those of ``data`` as ``d.NAME``, attributes as ``a.NAME``.

    Columns without any value are left out. Attributes of too many names are one column ``attributes`` of JSON text.
    ``ready`` has columns that need nothing more: ids, times in microseconds, attributes as maps, contents (``body``).
    """

    columns: Mapping[str, Column]
    rows: int
    ready: Mapping[str, pa.Array] = field(default_factory=dict)


def parse(body: bytes, shape: Shape) -> Parsed | None:
    """Parse lines of JSON as they are; None when anything may be lost or changed by that."""
    columns = read_strictly(body, shape, _PREFIXES)
    return Parsed(columns, len(next(iter(columns.values())))) if columns else None


def parse_flat(flat: Flat) -> Parsed | None:
    """Parse flattened lines; None when a line among them is not of their shape."""
    columns = read_flat(b"\n".join(flat.lines), flat.shape, _PREFIXES)
    if not columns:
        return None
    contents = flat.contents()
    return Parsed(columns, len(flat.lines), {"body": contents} if contents.null_count < len(contents) else {})


def sieve(flat: Flat) -> Flat:
    """The lines that can be parsed together, found by halving; what is left out may hold some more that could be."""
    found: list[int] = []
    pending: list[Sequence[int]] = [range(len(flat.lines))]
    while pending:
        rows = pending.pop()
        piece = b"\n".join([flat.lines[row] for row in rows])
        if rows and read_flat(piece, flat.shape, _PREFIXES):
            found.extend(rows)
        elif len(rows) > _FEW:
            middle = len(rows) // 2
            pending += [rows[middle:], rows[:middle]]
    return flat.take(found)
