"""Answers: rows as the engine gave them, made whole (empty buckets, nulls, comparison) and ready for JSON."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from semantic.compile import Compiled
from semantic.measures import Measure

Row = list[Any]
_JSON_TYPES: Final = {"integer": "integer", "number": "number", "flag": "boolean"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an answer."""

    name: str
    type: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer in the shape of ``/v1/query``."""

    columns: tuple[Column, ...]
    rows: list[Row]
    meta: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "columns": [{"name": item.name, "type": item.type, "unit": item.unit} for item in self.columns],
            "rows": self.rows,
            "meta": self.meta,
        }


def columns_of(compiled: Compiled, *, compare: bool = False, currency: str | None = None) -> tuple[Column, ...]:
    """Columns: time, dimensions, measures, and the measures of the previous period."""

    def unit(item: Measure) -> str:
        return currency if currency and item.unit == "USD" else item.unit

    found = [Column("time", "time")] if compiled.buckets else []
    found += [Column(item.name, _JSON_TYPES.get(item.kind, "string"), item.unit) for item in compiled.dimensions]
    found += [Column(item.name, item.type, unit(item)) for item in compiled.measures]
    if compare:
        found += [Column(f"{item.name}__previous", item.type, unit(item)) for item in compiled.measures]
    return tuple(found)


def plain(value: Any) -> Any:
    """A value of the engine as JSON knows it; NaN and infinities are null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, datetime):
        return rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
    if isinstance(value, date | UUID):
        return str(value)
    return value


def key_value(value: Any) -> Any:
    """A dimension's value; absent ones are null."""
    if isinstance(value, bytes):
        return value.hex() if any(value) else None
    return None if value == "" else plain(value)


def rfc3339(moment: datetime) -> str:
    """RFC 3339, with ``Z`` for UTC and as many digits as needed."""
    return moment.isoformat().replace("+00:00", "Z")


class Cells:
    """The rows of one statement, by bucket position and dimensions."""

    def __init__(self, compiled: Compiled, rows: Iterable[Sequence[Any]], *, cut: bool = False) -> None:
        self.compiled, self.cut = compiled, cut
        self.keys = list(compiled.buckets.keys(compiled.start, compiled.end)) if compiled.buckets else [0]
        position = {key: index for index, key in enumerate(self.keys)}
        first = 1 if compiled.buckets else 0
        middle = first + len(compiled.dimensions)
        self.series: dict[tuple[Any, ...], None] = {}
        self.values: dict[tuple[int, tuple[Any, ...]], Row] = {}
        for row in rows:
            key = tuple(key_value(value) for value in row[first:middle])
            at = position.get(row[0]) if first else 0
            if at is None:
                continue
            self.series.setdefault(key)
            self.values[at, key] = [plain(value) for value in row[middle:]]
        self._drop_nameless()

    def _drop_nameless(self) -> None:
        """Without the series of no name and no value: events that have neither the dimensions nor the measures."""
        nameless = (None,) * len(self.compiled.dimensions)
        if not nameless or nameless not in self.series:
            return
        places = [place for place in self.values if place[1] == nameless]
        if any(any(self.values[place]) for place in places):
            return
        del self.series[nameless]
        for place in places:
            del self.values[place]

    @property
    def blank(self) -> Row:
        """What an empty bucket holds."""
        return [0 if item.additive else None for item in self.compiled.measures]


def assemble(cells: Cells, previous: Cells | None = None) -> list[Row]:
    """Rows by time, then series, empty buckets filled; beside them those of the previous period, by position."""
    series = list(cells.series) if cells.compiled.dimensions else [()]
    if cells.compiled.buckets and cells.compiled.dimensions:
        series.sort(key=_sortable)
    rows: list[Row] = []
    for at, bucket in enumerate(cells.keys):
        time = _time(cells.compiled, bucket)
        for key in series:
            row = [*time, *key, *cells.values.get((at, key), cells.blank)]
            if previous is not None:
                row += previous.values.get((at, key), previous.blank)
            rows.append(row)
    return rows


def _time(compiled: Compiled, key: int) -> Row:
    if compiled.buckets is None:
        return []
    return [rfc3339(compiled.buckets.start(key).astimezone(compiled.buckets.tz))]


def _sortable(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        (value is not None, str(type(value)), value) if value is not None else (False, "", "") for value in key
    )


def convert_money(columns: Sequence[Column], rows: list[Row], currency: str, rates: Mapping[str, float]) -> None:
    """Multiply amounts by the rate of ``currency``, in place."""
    money = [index for index, column in enumerate(columns) if column.unit == currency]
    for row in rows:
        for index in money:
            if row[index] is not None:
                row[index] *= rates[currency]
