"""Events of any shape → flat columns, value by value: what the strict reader cannot be given.

The values come from the parser of the row path, so nothing can be read in two ways. A row that does not go with the
others is marked, and stays alone in that.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial, reduce
from itertools import chain
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
_Rows = npt.NDArray[np.int64]


class _Field:
    """The values of one field, and the rows that they come from."""

    def __init__(self) -> None:
        self._rows: list[_Rows] = []
        self._items: list[tuple[Any, ...]] = []

    def add(self, rows: _Rows, items: tuple[Any, ...]) -> None:
        if None in items:
            rows, items = _kept(rows, items)
        self._rows.append(rows)
        self._items.append(items)

    def whole(self) -> tuple[_Rows, Sequence[Any]]:
        if len(self._rows) == 1:
            return self._rows[0], self._items[0]
        return np.concatenate(self._rows), list(chain.from_iterable(self._items))


class _Objects:
    """Objects of many rows; those with the same names in the same order are turned into columns together."""

    def __init__(self) -> None:
        self._alike: dict[tuple[str, ...], tuple[list[int], list[dict[str, Any]]]] = {}

    def add(self, row: int, values: dict[str, Any]) -> None:
        alike = self._alike.get(names := tuple(values))
        if alike is None:
            alike = self._alike[names] = ([], [])
        alike[0].append(row)
        alike[1].append(values)

    def texts(self, count: int) -> tuple[list[bytes | None], list[int]]:
        """Each row's object as JSON text, and the rows whose object cannot be written."""
        texts: list[bytes | None] = [None] * count
        for rows, objects in self._alike.values():
            for row, values in zip(rows, objects, strict=True):
                texts[row] = _json(values)
        return texts, [row for rows, _ in self._alike.values() for row in rows if texts[row] is None]

    def fields(self, allowed: Callable[[str, int], bool]) -> tuple[dict[str, _Field], list[int]]:
        """The fields by name, and the rows that have a field that is not ``allowed``: by its name and their number."""
        fields: dict[str, _Field] = {}
        odd: list[int] = []
        for names, (places, objects) in self._alike.items():
            rows = np.array(places, np.int64)
            for name, items in zip(names, zip(*map(dict.values, objects), strict=True), strict=True):
                if name not in fields:
                    if not allowed(name, len(fields)):
                        odd.extend(_kept(rows, items)[0].tolist())
                        continue
                    fields[name] = _Field()
                fields[name].add(rows, items)
        return fields, odd


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
        self._envelope = _Objects()
        self._data = _Objects()
        self._attributes = _Objects()
        self._contents: dict[str, Kind] = {}
        self._bodies: list[bytes | None] = []

    def add(self, row: int, event: Any) -> bool:
        """Take an event in; False where something in it is not as it must be."""
        self._bodies.append(None)
        if not isinstance(event, dict):
            return False
        data, attributes = event.pop("data", None), event.pop("attributes", None)
        self._envelope.add(row, event)
        if isinstance(attributes, dict):
            self._attributes.add(row, attributes)
        if isinstance(data, dict):
            fine = BODY_FIELDS.isdisjoint(data) or self._take_contents(row, data)
            self._data.add(row, data)
            return fine and isinstance(attributes, dict | None)
        return data is None and isinstance(attributes, dict | None)

    def _take_contents(self, row: int, data: dict[str, Any]) -> bool:
        """Contents leave the data as one text: nobody asks for them by name. Where a type needs them, a mark stays."""
        body: dict[str, Any] = {}
        for name in BODY_FIELDS.intersection(data):
            item = data.pop(name)
            found: Kind = "null" if item is None else "text" if isinstance(item, str) else "json"
            self._contents[name] = either(name, self._contents.get(name, "null"), found)
            if item is None:
                continue
            body[name] = item
            if name in NEEDED_BODY_FIELDS:
                data[name] = True
        self._bodies[row] = text = _json(body) if body else None
        return text is not None or not body

    def finish(self) -> tuple[Parsed, Shape]:
        """The columns, once all events are in."""
        columns, envelope = self._columns(self._envelope, lambda name, _: name in ENVELOPE)
        of_data, data = self._columns(self._data, lambda _, count: count < MOST_FIELDS, nested=True)
        columns |= {DATA + name: column for name, column in of_data.items()}
        fields, too_many = self._attributes.fields(lambda _, count: count < MOST_ATTRIBUTES)
        attributes = None
        if too_many:
            texts, odd = self._attributes.texts(len(self._bodies))
            self.odd.extend(odd)
            columns["attributes"] = Column(pa.array(texts, pa.string()), "json")
        else:
            of_attributes, attributes = self._columns_of(fields)
            columns |= {ATTRIBUTE + name: column for name, column in of_attributes.items()}
        bodies = pa.array(self._bodies, pa.string())
        doubtful: Mask = np.zeros(len(bodies), np.bool_)
        doubtful[self.odd] = True
        ready = {"body": bodies} if bodies.null_count < len(bodies) else {}
        return Parsed(columns, len(bodies), ready, doubtful), Shape(envelope, data | self._contents, attributes)

    def _columns(
        self, objects: _Objects, allowed: Callable[[str, int], bool], *, nested: bool = False
    ) -> tuple[dict[str, Column], dict[str, Kind]]:
        fields, odd = objects.fields(allowed)
        self.odd.extend(odd)
        return self._columns_of(fields, nested=nested)

    def _columns_of(
        self, fields: dict[str, _Field], *, nested: bool = False
    ) -> tuple[dict[str, Column], dict[str, Kind]]:
        """The columns that have a value, and the kinds of all fields."""
        columns = {name: self._column(name, *field.whole(), nested=nested) for name, field in fields.items()}
        kinds = {name: column.kind for name, column in columns.items()}
        return {name: column for name, column in columns.items() if column.kind != "null"}, kinds

    def _column(self, name: str, rows: _Rows, items: Sequence[Any], *, nested: bool) -> Column:
        """``nested``: objects and arrays are as good as other values."""
        count = len(self._bodies)
        if len(items) and type(items[0]) is str:
            with suppress(pa.ArrowTypeError):  # not all of them are
                return Column(_texts(rows, pa.array(items, pa.string()), count), "text")
        kinds: dict[type, Kind] = {found: kind_of(name, found) for found in dict.fromkeys(map(type, items))}
        wanted: list[Kind] = [kind for kind in kinds.values() if nested or kind != "json"] or ["json"]
        kind: Kind = reduce(partial(either, name), wanted) if kinds else "text"
        if kind == "json":
            rows, items = self._keep(rows, [_json(item) for item in items])
        elif any(not _fits(found, kind) for found in kinds.values()):
            rows, items = self._keep(rows, [item if _fits(kinds[type(item)], kind) else None for item in items])
        if kind == "int" and len(items) and not (min(items) in _INT64 and max(items) in _INT64):
            rows, items = self._keep(rows, [item if item in _INT64 else None for item in items])
        if not len(items):
            return Column(pa.nulls(count, pa.string()), "null")
        if dtype := _NUMBERS.get(kind):
            return Column(_numbers(rows, np.array(items, dtype), count), kind)
        return Column(_texts(rows, pa.array(items, pa.string()), count), kind)

    def _keep(self, rows: _Rows, items: list[Any]) -> tuple[_Rows, Sequence[Any]]:
        """What is left; the row of an item that is None goes its own way."""
        kept = _kept(rows, items)
        self.odd.extend(np.setdiff1d(rows, kept[0]).tolist())
        return kept


def _kept(rows: _Rows, items: Sequence[Any]) -> tuple[_Rows, tuple[Any, ...]]:
    """Without the rows that have no item."""
    held = np.fromiter((item is not None for item in items), np.bool_, len(items))
    return rows[held], tuple(item for item in items if item is not None)


def _fits(found: Kind, kind: Kind) -> bool:
    return found == kind or (found, kind) == ("int", "float")


def _json(item: Any) -> bytes | None:
    try:
        return orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # nested too deeply
        return None


def _numbers(rows: _Rows, numbers: npt.NDArray[Any], count: int) -> pa.Array:
    """Numbers at their rows, null between them."""
    whole = np.zeros(count, numbers.dtype)
    whole[rows] = numbers
    if len(rows) == count:
        return pa.array(whole)
    absent = np.ones(count, np.bool_)
    absent[rows] = False
    return pa.array(whole, mask=absent)


def _texts(rows: _Rows, texts: pa.Array, count: int) -> pa.Array:
    """Texts at their rows, null between them."""
    order = np.full(count, -1, np.int64)
    order[rows] = np.arange(len(rows))
    present = order >= 0
    order = order[present]
    if (order[1:] < order[:-1]).any():
        texts = texts.take(pa.array(order))
    if len(rows) == count:
        return texts
    _, offsets, data = texts.buffers()
    held = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    whole = np.zeros(count + 1, np.int32)
    whole[1:][present] = held[1:] - held[:-1]
    whole[0] = held[0]
    np.cumsum(whole, out=whole)
    bitmap = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.StringArray.from_buffers(count, pa.py_buffer(whole), data, bitmap)
