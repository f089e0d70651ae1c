"""The last step of every decoder: redaction, before anything is written anywhere."""

from dataclasses import replace
from typing import Any, Final

import orjson
import polars as pl
import pyarrow as pa

from access.tenant_settings import RedactionMode
from ingest.batch import Arrival, Decoded, Rejected
from ingest.decode.shape import BODY_FIELDS
from ingest.redact import Redactor, redactor
from schemas.arrow import LOG_SCHEMA

_DROPPED: Final = b"[dropped: this tenant keeps no contents, and this row cannot be read]"


def finish(decoded: Decoded, arrival: Arrival) -> Decoded:
    """Redact the good rows and the bad ones."""
    rejected = decoded.rejected
    if not arrival.capture:
        rejected = tuple(replace(row, original=_without_bodies(row.original)) for row in rejected)
    mode = arrival.redaction.mode
    if mode is RedactionMode.OFF:
        return replace(decoded, rejected=rejected)
    redact = redactor(arrival.redaction)
    table, count = decoded.table, 0
    for name in ("body", "data") if mode is RedactionMode.ALL else ("body",):
        if name in table.column_names:
            texts, changed = redact.json(pl.from_arrow(table.column(name)))  # type: ignore[arg-type]
            count += changed
            table = _with(table, name, texts.to_arrow()) if changed else table
    if mode is RedactionMode.ALL and "attributes" in table.column_names:
        table, changed = _attributes(table, redact)
        count += changed
    return replace(decoded, table=table, rejected=_letters(rejected, redact), redactions=count)


def _with(table: pa.Table, name: str, array: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, array.cast(LOG_SCHEMA.field(name).type))


def _attributes(table: pa.Table, redact: Redactor) -> tuple[pa.Table, int]:
    maps = table.column("attributes").combine_chunks()
    values, changed = redact.plain(pl.Series(maps.items.to_pylist(), dtype=pl.String))
    if not changed:
        return table, 0
    redacted = pa.MapArray.from_arrays(maps.offsets, maps.keys, values.to_arrow().cast(pa.string()))
    return _with(table, "attributes", redacted), changed


def _letters(rejected: tuple[Rejected, ...], redact: Redactor) -> tuple[Rejected, ...]:
    """The bytes of rejected rows; those in which something is found are kept as text without it."""
    if not rejected:
        return rejected
    texts = pl.Series([_normal(row.original) for row in rejected], dtype=pl.String)
    redacted, changed = redact.json(texts)
    if not changed:
        return rejected
    return tuple(
        replace(row, original=after.encode()) if after != before else row
        for row, before, after in zip(rejected, texts, redacted, strict=True)
    )


def _normal(original: bytes) -> str:
    """The text of a row with its escapes undone where that can be: nothing hides behind ``\\u0040``."""
    if b"\\u" in original:
        try:
            return orjson.dumps(orjson.loads(original)).decode()
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            pass
    return original.decode(errors="replace")


def _without_bodies(original: bytes) -> bytes:
    try:
        value = orjson.loads(original)
    except orjson.JSONDecodeError:
        return _DROPPED
    data = value.get("data") if isinstance(value, dict) else None
    if isinstance(data, dict):
        value["data"] = {name: item for name, item in data.items() if name not in BODY_FIELDS}
    return orjson.dumps(value)
