"""Columns → one JSON object a row, without a loop over rows."""

from collections.abc import Mapping
from typing import Final

import orjson
import polars as pl

from ingest.decode.learn import Kind
from ingest.decode.parse import container

_KEY: Final = "k"
#: What ``{"k":`` and ``}`` take away of a value's JSON.
_HEAD: Final = 5


def json_value(column: pl.Expr, kind: Kind) -> pl.Expr:
    """The JSON text of each value; null where there is none."""
    match kind:
        case "bool" | "int":
            return column.cast(pl.String)
        case "json":
            return pl.when(container(column)).then(column).otherwise(_encoded(column))
        case _:
            return _encoded(column)


def _encoded(column: pl.Expr) -> pl.Expr:
    text = pl.struct(column.alias(_KEY)).struct.json_encode()
    return pl.when(column.is_not_null()).then(text.str.slice(_HEAD).str.head(-1))


def json_object(columns: Mapping[str, tuple[pl.Expr, Kind]]) -> pl.Expr:
    """One object a row of the columns that are not null, names in order; null where there is none.

    Parameters
    ----------
    columns
        Name in the object → values and their kind.
    """
    parts = []
    for name in sorted(columns):
        column, kind = columns[name]
        key = orjson.dumps(name).decode() + ":"
        parts.append(pl.lit(key) + json_value(column, kind))
    text = pl.concat_str(parts, separator=",", ignore_nulls=True)
    return pl.when(text.str.len_bytes() > 0).then(pl.lit("{") + text + pl.lit("}"))
