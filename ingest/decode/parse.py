"""Lines of JSON → flat columns that hold everything that the lines do, or nothing at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl
import pyarrow as pa

from ingest.decode.column import Column
from ingest.decode.learn import Shape
from ingest.decode.strict import read_strictly
from ingest.decode.texts import Mask

DATA: Final = "d."
ATTRIBUTE: Final = "a."
_PREFIXES: Final = {"data": DATA, "attributes": ATTRIBUTE}
#: What the libraries raise at values they cannot handle; the row path can.
REFUSALS: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body as columns: the envelope's under their names, those of ``data`` as ``d.NAME``, attributes as ``a.NAME``.

    Columns without any value are left out. Attributes of too many names are one column ``attributes`` of JSON text.
    ``ready`` has columns that need nothing more: ids, times in microseconds, attributes as maps, and ``data`` and
    ``body`` where the decoder has written these itself.
    ``doubtful`` are rows that the columns do not tell all of.
    """

    columns: Mapping[str, Column]
    rows: int
    ready: Mapping[str, pa.Array] = field(default_factory=dict)
    doubtful: Mask | None = None


def parse(body: bytes, shape: Shape) -> Parsed | None:
    """Parse lines of JSON as they are; None when anything may be lost or changed by that."""
    columns = read_strictly(body, shape, _PREFIXES)
    return Parsed(columns, len(next(iter(columns.values())))) if columns else None
