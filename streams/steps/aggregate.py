"""A block as window aggregates that merge: what the detectors read.

A series is a tenant's events of one type, project, environment and model; a window is ten seconds of event time.
Counts and sums add, extremes take the extreme, and durations are kept as a sketch (:mod:`streams.steps.sketch`) whose
buckets add.
"""

from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streams.columnar import (
    Bools,
    Codes,
    Floats,
    Groups,
    Ints,
    codes_of,
    flat,
    floats,
    group,
    ints,
    micros,
    nullable,
    text,
)
from streams.steps.sketch import Sketch, bucket_of, listed, read_lists

WINDOW_S: Final = 10
#: What makes a series.
DIMENSIONS: Final = ("tenant", "type", "project", "environment", "model")

_WINDOW: Final = WINDOW_S * 10**6
_TOKENS: Final = ("input_tokens", "output_tokens", "cache_read_input_tokens")
_COUNTS: Final = ("count", "errors", "unpriced", *_TOKENS, "duration_count")
_SUMS: Final = ("duration_sum", "duration_sumsq")
_MONEY: Final = pa.decimal128(38, 10)

SCHEMA: Final = pa.schema(
    [
        pa.field("series", pa.uint64(), nullable=False),
        *(pa.field(name, pa.dictionary(pa.int32(), pa.string())) for name in DIMENSIONS),
        pa.field("window", pa.timestamp("us", tz="UTC"), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in _COUNTS),
        *(pa.field(name, pa.float64(), nullable=False) for name in _SUMS),
        pa.field("duration_min", pa.float64()),
        pa.field("duration_max", pa.float64()),
        pa.field("duration_buckets", pa.list_(pa.int32()), nullable=False),
        pa.field("duration_counts", pa.list_(pa.int64()), nullable=False),
        pa.field("cost_usd", _MONEY, nullable=False),
    ]
)


def aggregate(table: pa.Table) -> pa.Table:
    """The window aggregates of a block that has been priced, one row for each series and window."""
    duration, timed = floats(table, "duration_ms")
    cost = _units(table)
    values: dict[str, npt.NDArray[Any]] = {
        "count": np.ones(table.num_rows, np.int64),
        "errors": _is(table, "status", "error"),
        "unpriced": _is(table, "cost_source", "unpriced"),
        "duration_count": timed,
        "duration_sum": duration,
        "duration_sumsq": duration * duration,
        **{name: ints(table, name)[0] for name in _TOKENS},
    }
    rows = np.flatnonzero(timed)
    sketch = Sketch(rows, bucket_of(duration[rows]), np.ones(len(rows), np.int64))
    return _folded(table, "time", values, cost, (duration, duration, timed), sketch)


def merge(tables: list[pa.Table]) -> pa.Table:
    """Aggregates of several blocks as one: the aggregate of all their events together."""
    table = pa.concat_tables(tables)
    values: dict[str, npt.NDArray[Any]] = {name: ints(table, name)[0] for name in _COUNTS}
    values.update({name: floats(table, name)[0] for name in _SUMS})
    low, timed = floats(table, "duration_min")
    high, _ = floats(table, "duration_max")
    sketch = read_lists(flat(table.column("duration_buckets")), flat(table.column("duration_counts")))
    return _folded(table, "window", values, _units(table), (low, high, timed), sketch)


def _folded(
    table: pa.Table,
    time: str,
    values: Mapping[str, npt.NDArray[Any]],
    cost: Ints,
    extremes: tuple[Floats, Floats, Bools],
    sketch: Sketch,
) -> pa.Table:
    coded = [codes_of(table, name) for name in DIMENSIONS]
    windows = micros(table, time) // _WINDOW
    groups = _groups(coded, windows)
    columns: dict[str, Any] = {
        "series": pa.array(_series(coded, groups), pa.uint64()),
        "window": pa.array(windows[groups.firsts] * _WINDOW).view(SCHEMA.field("window").type),
        "cost_usd": _decimals(_exact_sums(groups, cost)),
    }
    for name, column in zip(DIMENSIONS, coded, strict=True):
        columns[name] = text(column.codes[groups.firsts], column.values)
    for name, amounts in values.items():
        sums = np.bincount(groups.ids, amounts, len(groups))
        columns[name] = pa.array(sums.astype(np.int64) if name in _COUNTS else sums)
    columns["duration_min"], columns["duration_max"] = _extremes(groups, *extremes)
    columns["duration_buckets"], columns["duration_counts"] = listed(sketch.by(groups.ids), len(groups))
    return pa.table([columns[field.name] for field in SCHEMA], schema=SCHEMA)


def _groups(coded: list[Codes], windows: Ints) -> Groups:
    first, last = (int(windows.min()), int(windows.max())) if len(windows) else (0, 0)
    return group(
        [*(column.codes for column in coded), windows - first], [*(len(c.values) for c in coded), last - first + 1]
    )


def _series(coded: list[Codes], groups: Groups) -> list[int]:
    picked = [[column.values[code] for code in column.codes[groups.firsts]] for column in coded]
    return [series_hash(key) for key in zip(*picked, strict=True)]


@lru_cache(maxsize=1 << 16)
def series_hash(key: tuple[str | None, ...]) -> int:
    """The number of a series: the same in every process and version.

    Examples
    --------
    >>> series_hash(("acme", "llm.request", None, None, "gpt-4o"))
    8928707953858418081
    """
    content = "\x1f".join("\x00" if value is None else value for value in key)
    return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "big")


def _is(table: pa.Table, name: str, wanted: str) -> Bools:
    coded = codes_of(table, name)
    return np.array([value == wanted for value in coded.values])[coded.codes]


def _units(table: pa.Table) -> Ints:
    """``cost_usd`` in units of its last decimal, 0 for null."""
    position = table.schema.get_field_index("cost_usd")
    if position < 0 or not pa.types.is_decimal(table.schema.field(position).type):
        return np.zeros(table.num_rows, np.int64)
    column = pc.fill_null(flat(table.column(position)), 0)
    words = np.frombuffer(column.buffers()[1], np.int64)
    return words[2 * column.offset : 2 * (column.offset + len(column)) : 2]


def _exact_sums(groups: Groups, units: Ints) -> Ints:
    """Sums of whole numbers beyond the 53 bits that a weighted count keeps."""
    low = np.bincount(groups.ids, units & 0xFFFFFF, len(groups)).astype(np.int64)
    high = np.bincount(groups.ids, units >> 24, len(groups)).astype(np.int64)
    return low + (high << 24)


def _decimals(units: Ints) -> pa.Array:
    pairs = np.zeros((len(units), 2), "<i8")
    pairs[:, 0] = units
    return pa.Array.from_buffers(_MONEY, len(units), [None, pa.py_buffer(pairs)])


def _extremes(groups: Groups, low: Floats, high: Floats, present: Bools) -> tuple[pa.Array, pa.Array]:
    least, most = np.full(len(groups), np.inf), np.full(len(groups), -np.inf)
    np.minimum.at(least, groups.ids[present], low[present])
    np.maximum.at(most, groups.ids[present], high[present])
    known = np.isfinite(least)
    return nullable(least, known, pa.float64()), nullable(most, known, pa.float64())
