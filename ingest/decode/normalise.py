"""A flat frame of a body → the log's columns, and which rows must be looked at one by one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ingest.batch import Arrival
from ingest.decode import checks
from ingest.decode.attributes import attributes_of_columns, attributes_of_text
from ingest.decode.binary import fixed, fixed_values, ids_of_texts, make_ids, moments
from ingest.decode.column import Column, one_chunk
from ingest.decode.fragments import json_objects
from ingest.decode.learn import Kind
from ingest.decode.parse import ATTRIBUTE, DATA, Parsed
from ingest.decode.shape import BODY_FIELDS, COLUMN_FIELDS, FIELD_GROUPS, LABELLED, STATUS_TYPES, TYPE_FIELDS
from ingest.decode.tables import constant, stamped
from ingest.decode.texts import Mask, hex_ids
from schemas.arrow import LOG_SCHEMA
from schemas.columns import FIELDS
from schemas.envelope import VERSION
from schemas.versions import as_is

_NAMES: Final = ("source", "project", "environment", "session_id", "user_id", "id")
_TEXT_COLUMNS: Final = ("type", "source", "schema_version", "project", "environment", "session_id", "user_id")
#: One of the two is required.
_EITHER: Final = (("evaluation.score", ("score", "label")), ("feedback.rating", ("rating", "label")))
_WANTED: Final = {field.name: field.type for field in LOG_SCHEMA}
_DTYPES: Final[dict[str, tuple[Kind, Any]]] = {
    "string": ("text", pl.String),
    "int64": ("int", pl.Int64),
    "float64": ("float", pl.Float64),
    "bool": ("bool", pl.Boolean),
}


@dataclass(frozen=True, slots=True)
class Normalised:
    """Columns of all rows (what is in a doubtful row is undefined), and which rows are doubtful."""

    table: pa.Table
    doubtful: Mask
    all_ids: bool
    dropped_bodies: int

    def good(self, doubtful: Mask) -> pa.Table:
        """The rows that are not in doubt."""
        if not doubtful.any():
            return self.table
        return pa.table({}) if doubtful.all() else self.table.filter(pa.array(~doubtful))


def normalise(parsed: Parsed, arrival: Arrival, indices: Callable[[], Sequence[int]]) -> Normalised:
    """Check and convert a body's columns.

    Parameters
    ----------
    parsed
        From :func:`ingest.decode.parse.parse`.
    arrival
        Who sent it, and when.
    indices
        The index of each row in the body; asked for only where ids are derived from it.
    """
    return _Normaliser(parsed, arrival).run(indices)


class _Normaliser:
    def __init__(self, parsed: Parsed, arrival: Arrival) -> None:
        self.arrival = arrival
        self.ready = parsed.ready
        self.rows = parsed.rows
        self.doubtful: Mask = np.zeros(self.rows, np.bool_) if parsed.doubtful is None else parsed.doubtful.copy()
        self.given = parsed.columns
        self.data = {name[len(DATA) :]: column for name, column in self.given.items() if name.startswith(DATA)}
        self.columns: dict[str, pa.Array] = {}
        self.types = self.given.get("type")
        found = self.types.values if self.types is not None and self.types.kind == "text" else []
        self.present = frozenset(name for name in found if name in TYPE_FIELDS)

    def run(self, indices: Callable[[], Sequence[int]]) -> Normalised:
        if not self.present:
            return Normalised(stamped(pa.table({}), self.arrival), np.ones(self.rows, np.bool_), True, 0)
        self._check_envelope()
        self._check_required()
        for name, column in self.data.items():
            self._check_field(name, column)
        all_ids = self._id(indices)
        self._time()
        for name, digits in (("trace_id", 32), ("span_id", 16), ("parent_span_id", 16)):
            self._hex(name, digits)
        self._attributes()
        dropped = self._fill()
        order = [field.name for field in LOG_SCHEMA if field.name in self.columns]
        table = pa.table([self.columns[name] for name in order], names=order)
        return Normalised(stamped(table, self.arrival), self.doubtful, all_ids, dropped)

    # --- checks

    def _doubt(self, rows: Mask | None, among: Mask | None = None) -> None:
        if rows is not None:
            self.doubtful |= rows if among is None else rows & among

    def _doubt_among(self, rows: Mask | None, types: Iterable[str]) -> None:
        if rows is not None:
            self._doubt(rows, self._of_types(types))

    def _of_types(self, types: Iterable[str]) -> Mask | None:
        """Rows of these types; None when all rows of known types are."""
        assert self.types is not None
        wanted = self.present.intersection(types)
        if wanted == self.present:
            return None
        rows = self.types.rows_with([value in wanted for value in self.types.values])
        return np.zeros(self.rows, np.bool_) if rows is None else rows

    def _check_envelope(self) -> None:
        assert self.types is not None
        self._doubt(self.types.rows_with([value not in self.present for value in self.types.values]))
        if not self.types.full:
            self._doubt(~self.types.valid)
        for name in _NAMES:
            if name in self.given:
                self._doubt(checks.name(self.given[name]))
        source = self.given.get("source")
        if source is None:
            self.doubtful[:] = True
        elif not source.full:
            self._doubt(~source.valid)
        if source is not None and source.kind == "text":
            self._doubt(checks.too_long(source, 1 << 40, 1))
        version = self.given.get("schema_version")
        if version is not None:
            text = version.kind == "text"
            self._doubt(version.rows_with([self._is_old(v) for v in version.values]) if text else version.valid)
        if (version is None or not version.full) and self._is_old(VERSION):
            self._doubt(np.ones(self.rows, np.bool_) if version is None else ~version.valid)

    def _is_old(self, version: str) -> bool:
        """Whether a version has to be brought up to date, or refused, for one of the types at least."""
        return not all(as_is(event_type, version) for event_type in self.present)

    def _check_required(self) -> None:
        missing: dict[str, list[str]] = {}
        for event_type in self.present:
            for name, field in TYPE_FIELDS[event_type].items():
                if field.required:
                    missing.setdefault(name, []).append(event_type)
        for name, types in missing.items():
            self._doubt_absent((name,), types)
        for event_type, names in _EITHER:
            if event_type in self.present:
                self._doubt_absent(names, [event_type])

    def _doubt_absent(self, names: Sequence[str], types: Sequence[str]) -> None:
        """Rows of these types that have none of the fields."""
        columns = [self.data[name] for name in names if name in self.data]
        if any(column.full for column in columns):
            return
        absent = np.ones(self.rows, np.bool_)
        for column in columns:
            absent &= ~column.valid
        self._doubt(absent, self._of_types(types))

    def _check_field(self, name: str, column: Column) -> None:
        if name in BODY_FIELDS:
            return
        members: frozenset[str] = frozenset()
        for field, types in FIELD_GROUPS.get(name, ()):
            mine = types & self.present
            if mine:
                members |= mine
                self._doubt_among(checks.own_field(column, field), mine)
        if members == self.present:
            return
        if name in COLUMN_FIELDS:  # it may fill the column of its name
            wrong = checks.column_of_other_type(column, COLUMN_FIELDS[name])
        elif members and column.kind != "json":  # its values would have to be two things at once
            wrong = column.valid
        else:
            wrong = checks.inexact(column)
        self._doubt_among(wrong, self.present - members)

    # --- envelope

    def _id(self, indices: Callable[[], Sequence[int]]) -> bool:
        if "id" in self.ready:
            values, missing = fixed_values(self.ready["id"])
        elif "id" in self.given:
            values, missing = ids_of_texts(self.given["id"])
        else:
            values, missing = np.zeros((self.rows, 16), np.uint8), np.ones(self.rows, np.bool_)
        if missing.any():
            make_ids(values, np.flatnonzero(missing), self.arrival, indices)
        self.columns["id"] = fixed(values)
        return not (missing & ~self.doubtful).any()  # the row path knows of its own

    def _time(self) -> None:
        micros, wrong = moments(self.ready.get("time"), self.given.get("time"), self.rows, self.arrival)
        self.doubtful |= wrong
        self.columns["time"] = pa.array(micros).cast(_WANTED["time"])

    def _hex(self, name: str, digits: int) -> None:
        if name in self.ready:
            self.columns[name] = self.ready[name]
        elif name in self.given:
            column = self.given[name]
            if column.kind != "text":
                self._doubt(column.valid)
                return
            values, good = hex_ids(column.texts, digits)
            self._doubt(column.valid & ~good)
            self.columns[name] = fixed(values, good)

    def _attributes(self) -> None:
        if "attributes" in self.ready:
            self.columns["attributes"] = self.ready["attributes"]
            return
        if "attributes" in self.given:
            array, wrong = attributes_of_text(self.given["attributes"])
        else:
            columns = {name[len(ATTRIBUTE) :]: c for name, c in self.given.items() if name.startswith(ATTRIBUTE)}
            if not columns:
                return
            array, wrong = attributes_of_columns(columns, self.rows)
        self._doubt(wrong)
        self.columns["attributes"] = array

    # --- data

    def _fill(self) -> int:
        """Put every column where it is kept, and say how many contents were dropped."""
        for name in _TEXT_COLUMNS:
            if name in self.given:
                self._put(name, self.given[name])
        rest: dict[str, tuple[pa.Array, Kind, Mask]] = {}
        for name, column in self.data.items():
            if name in COLUMN_FIELDS:
                self._put(name, column)
            elif name not in BODY_FIELDS:
                self._rest(name, column, rest)
        self._defaults()
        if rest:
            self._json("data", rest)
        if "data" in self.ready:  # written by the decoder, which then gives no columns of the kind
            self.columns["data"] = self.ready["data"]
        return self._bodies()

    def _bodies(self) -> int:
        bodies = {name: column for name, column in self.data.items() if name in BODY_FIELDS}
        ready = self.ready.get("body")
        if not self.arrival.capture:
            return self._contents(bodies.values(), ready)
        if ready is not None:
            self.columns["body"] = ready
        elif bodies:
            self._json("body", {name: (column.array, column.kind, column.valid) for name, column in bodies.items()})
        return 0

    def _contents(self, bodies: Iterable[Column], ready: pa.Array | None) -> int:
        """Rows that hold contents."""
        held = np.zeros(self.rows, np.bool_) if ready is None else ready.is_valid().to_numpy(zero_copy_only=False)
        for column in bodies:
            held = held | column.valid
        return int((held & ~self.doubtful).sum())  # the row path counts its own

    def _put(self, name: str, column: Column) -> None:
        wanted = _WANTED[name]
        if pa.types.is_string(wanted) and column.kind == "text":
            self.columns[name] = (
                column.array.cast(wanted) if name in ("session_id", "user_id") else column.compact(wanted)
            )
        elif column.array.type == wanted:
            self.columns[name] = column.array
        else:
            kind, dtype = _DTYPES[_arrow_name(wanted)]
            series = column.series if column.kind == kind else column.series.cast(dtype, strict=False)
            self.columns[name] = one_chunk(series.to_arrow()).cast(wanted)

    def _rest(self, name: str, column: Column, rest: dict[str, tuple[pa.Array, Kind, Mask]]) -> None:
        """A field without a column: the name of some types, plain data of others."""
        stored = "json"
        if any(types & self.present for _, types in FIELD_GROUPS.get(name, ())):
            stored = FIELDS[name].stored.arrow
        array, kind = column.array, column.kind
        if "json" not in (stored, kind) and kind != _DTYPES[stored][0]:
            kind, dtype = _DTYPES[stored]
            array = one_chunk(column.series.cast(dtype, strict=False).to_arrow())
        named = self.present & LABELLED.get(name, frozenset())
        if not named:
            rest[name] = array, kind, column.valid
            return
        rows = self._of_types(named)
        if rows is None:
            self._label(array.cast(pa.string()))
            return
        self._label(pc.if_else(pa.array(rows), array, None).cast(pa.string()))
        rest[name] = array, kind, column.valid & ~rows

    def _label(self, array: pa.Array) -> None:
        known = self.columns.get("name")
        self.columns["name"] = array if known is None else pc.coalesce(known, array)

    def _defaults(self) -> None:
        version = self.given.get("schema_version")
        if version is None or not version.valid.any():
            self.columns["schema_version"] = constant(VERSION, self.rows)
        elif not version.full:
            given = self.columns["schema_version"].cast(_WANTED["schema_version"])
            self.columns["schema_version"] = pc.fill_null(given, VERSION)
        if not self.present & STATUS_TYPES:
            return
        rows = self._of_types(STATUS_TYPES)
        status = self.columns.get("status")
        if status is None and rows is None:
            self.columns["status"] = constant("ok", self.rows)
        elif status is None or status.null_count:
            default = pa.array(np.full(self.rows, "ok", object), pa.string(), mask=None if rows is None else ~rows)
            plain = default if status is None else status.cast(pa.string())
            self.columns["status"] = pc.coalesce(plain, default)

    def _json(self, name: str, columns: dict[str, tuple[pa.Array, Kind, Mask]]) -> None:
        texts = json_objects(columns, self.rows)
        if texts is not None:
            self.columns[name] = texts


def _arrow_name(wanted: pa.DataType) -> str:
    return next(name for name, kind in _ARROW.items() if kind == wanted)


_ARROW: Final = {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64(), "bool": pa.bool_()}
