"""Lines of JSON → flat columns, proved to hold everything that the lines do, or nothing at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl
import pyarrow as pa

from ingest.decode.census import Census, census
from ingest.decode.column import Column
from ingest.decode.learn import Shape
from ingest.decode.strict import read_strictly

DATA: Final = "d."
ATTRIBUTE: Final = "a."

#: What the libraries raise at values they cannot handle; the row path can.
REFUSALS: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException, pa.ArrowException)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A body as columns: the envelope's under their names, those of ``data`` as ``d.NAME``, attributes as ``a.NAME``.

    Columns without any value are left out. Attributes of too many names are one column ``attributes`` of JSON text.
    ``ready`` has columns of the envelope that came in binary: ids, and times in microseconds.
    """

    columns: Mapping[str, Column]
    rows: int
    ready: Mapping[str, pa.Array] = field(default_factory=dict)


def parse(body: bytes, shape: Shape) -> Parsed | None:
    """Parse lines of JSON with a shape; None when anything may have been lost or changed by that."""
    if shape.has_nul:  # neither library takes such a name
        return None
    if strict := read_strictly(body, shape, {"data": DATA, "attributes": ATTRIBUTE}):
        return Parsed(strict, len(next(iter(strict.values()))))
    counted = census(body)
    if counted.doubtful:
        return None
    try:
        nested = pl.read_ndjson(body, schema=shape.schema())
    except REFUSALS:
        return None
    structs = [name for name in ("data", "attributes") if isinstance(nested.schema[name], pl.Struct)]
    found = {name: nested.height - nested[name].null_count() for name in structs}
    parsed = _flat(nested, shape)
    if not parsed.columns:  # not one value in it
        return None
    return parsed if _proved(parsed, counted, sum(found.values())) else None


def _flat(nested: pl.DataFrame, shape: Shape) -> Parsed:
    columns = {
        name: Column(nested[name], shape.envelope[name])
        for name in nested.columns
        if name not in ("data", "attributes")
    }
    for prefix, name, known in ((DATA, "data", shape.data), (ATTRIBUTE, "attributes", shape.attributes)):
        if known is None:
            columns[name] = Column(nested[name], "json")
            continue
        for series in nested[name].struct.unnest():
            columns[prefix + series.name] = Column(series, known.get(series.name, "bool"))
    return Parsed({name: column for name, column in columns.items() if column.nulls < len(column)}, nested.height)


def _proved(parsed: Parsed, counted: Census, structs: int) -> bool:
    """Whether the values found are all the values there are, and of the kinds they were taken for."""
    found, texts, containers = structs, 0, structs
    keys_within = nulls_within = quotes_within = 0
    plain: list[pl.Expr] = []
    nested = doubtful = False
    for column in parsed.columns.values():
        count = len(column) - column.nulls
        found += count
        if column.kind == "text":
            texts += count
            plain.append(container(pl.lit(column.series)).any())
        elif column.kind == "json":
            nested = True
            held = column.series.filter(pl.select(container(pl.lit(column.series))).to_series())
            containers += len(held)
            texts += count - len(held)
            within = census("\n".join(held).encode(), spaced=True)  # as polars writes it
            # and it leaves control characters and backslashes as they are, which is no JSON, or another text
            doubtful = doubtful or within.doubtful or bool(held.str.contains(r"[\x00-\x1f\\]").any())
            found += within.keys - within.nulls
            containers += within.containers
            keys_within, nulls_within = keys_within + within.keys, nulls_within + within.nulls
            quotes_within += within.quotes
    keys_without = counted.keys - keys_within
    return (
        not doubtful
        and found == counted.keys - counted.nulls
        and counted.containers == containers
        and counted.quotes == 2 * (keys_without + texts) + quotes_within
        and not (nested and plain and pl.select(pl.any_horizontal(plain)).item())
    )


def container(column: pl.Expr) -> pl.Expr:
    """Whether a text is (or looks like) an object or an array."""
    return column.str.starts_with("{") | column.str.starts_with("[")
