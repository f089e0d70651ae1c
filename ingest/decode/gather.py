"""Events of any shape → flat columns, value by value: what the strict reader cannot be given.

The values come from the parser of the row path, so nothing can be read in two ways. A row that does not go with the
others is marked, and stays alone in that.
"""

from collections.abc import Iterable
from functools import reduce
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from ingest.decode.column import Column
from ingest.decode.learn import ENVELOPE, MOST_ATTRIBUTES, MOST_FIELDS, Kind, Shape, either, kind_of
from ingest.decode.parse import ATTRIBUTE, DATA, Parsed
from ingest.decode.shape import BODY_FIELDS, NEEDED_BODY_FIELDS
from ingest.decode.texts import Mask

_NUMBERS: Final = {"int": np.int64, "float": np.float64, "bool": np.bool_}
_INT64: Final = range(-(2**63), 2**63)


class _Values:
    """The values of one field, and the rows that they come from."""

    __slots__ = ("items", "rows")

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.items: list[Any] = []


_Fields = dict[str, _Values]


def gather(events: Iterable[Any]) -> tuple[Parsed, Shape]:
    """The columns of events, and their shape.

    Parameters
    ----------
    events
        Parsed JSON, used up by this; what is no object stands for a row that cannot be read.

    Returns
    -------
    tuple
        Rows that only the row path understands are ``doubtful``.
    """
    gathered = _Gathered()
    for row, event in enumerate(events):
        if not gathered.add(row, event):
            gathered.odd.append(row)
    return gathered.finish()


class _Gathered:
    def __init__(self) -> None:
        self.odd: list[int] = []
        self._envelope: _Fields = {name: _Values() for name in ENVELOPE}
        self._data: _Fields = {}
        self._contents: dict[str, Kind] = {}
        self._bodies: list[bytes | None] = []
        self._attributes: list[dict[str, Any] | None] = []

    def add(self, row: int, event: Any) -> bool:
        """Take an event in; False where something in it is not as it must be."""
        self._bodies.append(None)
        self._attributes.append(None)
        if not isinstance(event, dict):
            return False
        data, attributes = event.pop("data", None), event.pop("attributes", None)
        fine = _put(self._envelope, row, event, 0)
        if isinstance(attributes, dict):
            self._attributes[row] = attributes or None
        elif attributes is not None:
            fine = False
        if not isinstance(data, dict):
            return fine and data is None
        if not BODY_FIELDS.isdisjoint(data):
            fine = self._take_contents(row, data) and fine
        return _put(self._data, row, data, MOST_FIELDS) and fine

    def _take_contents(self, row: int, data: dict[str, Any]) -> bool:
        """Contents leave the data as one text: nobody asks for them by name. Where a type needs them, a mark stays."""
        body: dict[str, Any] = {}
        for name in BODY_FIELDS.intersection(data):
            item = data.pop(name)
            if item is None:
                continue
            body[name] = item
            if not isinstance(item, str):
                self._contents[name] = "json"
            elif name not in self._contents:
                self._contents[name] = "text"
            if name in NEEDED_BODY_FIELDS:
                data[name] = True
        self._bodies[row] = text = _json(body) if body else None
        return text is not None or not body

    def finish(self) -> tuple[Parsed, Shape]:
        """The columns, once all events are in."""
        envelope, data = self._columns(self._envelope), self._columns(self._data)
        attributes = self._columns_of_attributes()
        columns = envelope | {DATA + name: column for name, column in data.items()}
        if attributes is None:
            texts = [None if value is None else orjson.dumps(value) for value in self._attributes]
            columns["attributes"] = Column(pa.array(texts, pa.string()), "json")
        else:
            columns |= {ATTRIBUTE + name: column for name, column in attributes.items()}
        bodies = pa.array(self._bodies, pa.string())
        doubtful: Mask = np.zeros(len(bodies), np.bool_)
        doubtful[self.odd] = True
        names = None if attributes is None else _kinds(attributes)
        shape = Shape(_kinds(envelope), _kinds(data) | self._contents, names)
        ready = {"body": bodies} if bodies.null_count < len(bodies) else {}
        return Parsed(columns, len(bodies), ready, doubtful), shape

    def _columns_of_attributes(self) -> dict[str, Column] | None:
        """None when there are too many names for columns."""
        fields: _Fields = {}
        for row, values in enumerate(self._attributes):
            if values is not None and not _put(fields, row, values, MOST_ATTRIBUTES):
                return None
        return self._columns(fields)

    def _columns(self, fields: _Fields) -> dict[str, Column]:
        columns = {name: self._column(name, values) for name, values in fields.items() if values.items}
        return {name: column for name, column in columns.items() if column.nulls < len(column)}

    def _column(self, name: str, values: _Values) -> Column:
        kinds = {found: kind_of(name, found) for found in dict.fromkeys(map(type, values.items))}
        kind = reduce(lambda one, other: either(name, one, other), kinds.values())
        if kind == "json":
            self._keep(values, [_json(item) for item in values.items])
        elif any(not _fits(found, kind) for found in kinds.values()):
            self._keep(values, [item if _fits(kinds[type(item)], kind) else None for item in values.items])
        if kind == "int" and values.items and not (min(values.items) in _INT64 and max(values.items) in _INT64):
            self._keep(values, [item if item in _INT64 else None for item in values.items])
        return Column(_array(values, kind, len(self._bodies)), kind)

    def _keep(self, values: _Values, items: list[Any]) -> None:
        """Put other items in place of a field's; the row of one that is None goes its own way."""
        self.odd.extend(row for row, item in zip(values.rows, items, strict=True) if item is None)
        values.rows = [row for row, item in zip(values.rows, items, strict=True) if item is not None]
        values.items = [item for item in items if item is not None]


def _put(fields: _Fields, row: int, values: dict[str, Any], most: int) -> bool:
    """Put an object's values to those of their fields; False when there are too many fields for one of them."""
    fine = True
    for name, item in values.items():
        if item is None:
            continue
        known = fields.get(name)
        if known is None:
            if len(fields) >= most:
                fine = False
                continue
            known = fields[name] = _Values()
        known.rows.append(row)
        known.items.append(item)
    return fine


def _fits(found: Kind, kind: Kind) -> bool:
    return found == kind or (found, kind) == ("int", "float")


def _json(item: Any) -> bytes | None:
    try:
        return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # nested too deeply
        return None


def _array(values: _Values, kind: Kind, count: int) -> pa.Array:
    """The values at their rows, null between them."""
    numbers = _NUMBERS.get(kind)
    dense = pa.array(values.items, pa.string()) if numbers is None else np.array(values.items, numbers)
    if len(values.rows) == count:
        return dense if numbers is None else pa.array(dense)
    rows = np.array(values.rows, np.int64)
    absent = np.ones(count, np.bool_)
    absent[rows] = False
    if numbers is not None:
        whole: npt.NDArray[Any] = np.zeros(count, numbers)
        whole[rows] = dense
        return pa.array(whole, mask=absent)
    places = np.zeros(count, np.int64)
    places[rows] = np.arange(len(rows))
    return dense.take(pa.array(places, mask=absent))


def _kinds(columns: dict[str, Column]) -> dict[str, Kind]:
    return {name: column.kind for name, column in columns.items()}
