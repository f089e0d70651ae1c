"""Attributes → fields of events, contents, and what stays an attribute; a column at a time.

What does not fit its field (text for a number, a name that is too long) stays an attribute: a span is not lost for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import numpy as np
import pyarrow as pa

from ingest.decode.attributes import maps
from ingest.decode.column import Column
from ingest.decode.shape import BODY_FIELDS, COLUMN_FIELDS, TYPE_FIELDS
from ingest.decode.texts import Mask
from ingest.otlp import meanings
from ingest.otlp.attributes import Attributes, Ints
from ingest.otlp.attributes import Column as Given
from ingest.otlp.contents import Contents
from ingest.otlp.dialects.dialect import MORE, Convert, Field, object_of
from ingest.otlp.fit import CALLS, ENVELOPE, EXTRA, HELD, OF_CALLS, field_of, fit, place_of
from ingest.otlp.held import Held
from ingest.otlp.values import as_json, as_text
from schemas.envelope import MAX_ATTRIBUTE_LENGTH, MAX_ATTRIBUTES
from schemas.fields import NAME_LENGTH

#: Fields that are worked out further; see :mod:`ingest.otlp.contents` and :mod:`ingest.otlp.spans`.
_SPECIAL: Final = frozenset({"documents", "embeddings", "system_instructions", MORE})
#: Attributes whose contents repeat the messages that a call of a model has from elsewhere.
_REPEATS: Final = frozenset({"input_messages", "output_messages"})


class Fields:
    """What the attributes of a body's rows mean.

    Parameters
    ----------
    attributes
        Of the rows.
    types
        Event type of each row.
    """

    def __init__(self, attributes: Attributes, types: Sequence[str]) -> None:
        self.rows = len(types)
        self.columns: dict[str, Held] = {}
        self.rest: dict[str, Held] = {}
        self.held: dict[str, Held] = {}
        self.contents = Contents()
        self.extra: list[tuple[int, str, str]] = []
        self._attributes = attributes
        self._types = types
        names = list(dict.fromkeys(types))
        self._of_type = {name: np.array([one == name for one in types], np.bool_) for name in names}
        self._kept = np.ones(len(attributes.entries()[0]), np.bool_)
        self._messages()
        known = attributes.known
        for name in sorted((name for name in known if name in meanings.FIELDS), key=_rank):
            column = attributes.column_of(known[name])
            self._field(name, column, meanings.FIELDS[name][1])
        for name, members in meanings.OBJECTS.items():
            if name in known:
                self._object(attributes.column_of(known[name]), members)
        for name, reader in meanings.READERS.items():
            if name in known:
                self._read(attributes.column_of(known[name]), reader)

    # --- attributes → fields

    def _messages(self) -> None:
        """Lists that were flattened."""
        prefixes, known = tuple(meanings.MESSAGES), self._attributes.known
        # By name: which came first in a block must not matter.
        for name in sorted(name for name in known if name.startswith(prefixes)):
            if len(name) <= NAME_LENGTH:
                prefix = next(prefix for prefix in prefixes if name.startswith(prefix))
                column = self._attributes.column_of(known[name])
                if self.contents.flattened(meanings.MESSAGES[prefix], name[len(prefix) :], column.items()):
                    self._kept[column.entries] = False
        self.contents.unflatten()

    def _field(self, name: str, column: Given, field: Field) -> None:
        rest = np.ones(len(column.rows), np.bool_)
        for event_type, target in field.of_type.items():
            if event_type in self._of_type:
                mine = self._of_type[event_type][column.rows]
                rest &= ~mine
                self._put(name, target, column, mine, field)
        if field.name and rest.any():
            self._put(name, field.name, column, rest, field)

    def _put(self, name: str, target: str, column: Given, among: Mask, field: Field) -> None:
        if target in BODY_FIELDS or target in _SPECIAL:
            self._content(name, target, column, among)
            return
        allowed = self._allowed(target)
        if allowed is not None:
            among = among & allowed[column.rows]
        if not among.any():
            return
        values = column.values if field.convert is None else [field.convert(value) for value in column.values]
        fitting = [fit(target, value) for value in values]
        held = self._holder(target).put(fitting, column.rows[among], column.index[among])
        self._kept[np.flatnonzero(among)[held] + column.entries.start] = False

    def _content(self, name: str, target: str, column: Given, among: Mask) -> None:
        places = np.flatnonzero(among)
        for place in places.tolist():
            row = int(column.rows[place])
            value = column.values[column.index[place]]
            if not self.contents.put(row, target, value, name) and not (
                target in _REPEATS and self._types[row] in CALLS
            ):
                self.contents.more(row, name, value)
        self._kept[places + column.entries.start] = False

    def _object(self, column: Given, members: Mapping[str, str]) -> None:
        """Members of an object that are fields; the attribute itself is kept."""
        objects = [object_of(value) for value in column.values]
        self._members(column, members.items(), objects)

    def _read(self, column: Given, reader: Convert) -> None:
        """The same where the members are not the fields as they are."""
        objects = [reader(value) for value in column.values]
        self._members(column, [(name, name) for name in dict.fromkeys(chain(*objects))], objects)

    def _members(self, column: Given, members: Iterable[tuple[str, str]], objects: Sequence[Mapping[str, Any]]) -> None:
        for member, target in members:
            values = [fit(target, value.get(member)) for value in objects]
            allowed = self._allowed(target)
            among = np.ones(len(column.rows), np.bool_) if allowed is None else allowed[column.rows]
            if among.any() and any(value is not None for value in values):
                self._holder(target).put(values, column.rows[among], column.index[among])

    def _allowed(self, target: str) -> Mask | None:
        """Rows that may have a field; None for all."""
        if target in OF_CALLS:
            wanted: Iterable[str] = CALLS
        elif target in EXTRA:
            wanted = EXTRA[target]
        elif target in ENVELOPE or target in COLUMN_FIELDS or target in HELD:
            return None
        else:
            wanted = [one for one in self._of_type if target in TYPE_FIELDS[one]]
        allowed = np.zeros(self.rows, np.bool_)
        for event_type in wanted:
            if event_type in self._of_type:
                allowed |= self._of_type[event_type]
        return allowed

    def _holder(self, target: str) -> Held:
        if target in HELD:
            holders = self.held
        elif target in EXTRA or place_of(target) == "rest":
            holders = self.rest
        else:
            holders = self.columns
        found = holders.get(target)
        if found is None:
            found = holders[target] = Held(self.rows)
        return found

    def field(self, name: str) -> Held:
        """The values of a field, to be read or added to."""
        return self._holder(name)

    def fill(self, name: str, value: Any) -> None:
        """Give every row without a value this one."""
        held = self.field(name)
        held.values.append(value)
        held.index[held.index < 0] = len(held.values) - 1

    def detail(self, name: str) -> Held:
        """The values of a field that no type declares, kept in ``data``."""
        return self.rest.setdefault(name, Held(self.rows))

    # --- fields → columns

    def data_columns(self) -> dict[str, Column]:
        """Columns of ``data`` and of the envelope, by the flat names of :class:`ingest.decode.parse.Parsed`."""
        found = {}
        for name, held in self.columns.items():
            if (held.index >= 0).any():
                stored = "string" if name in ENVELOPE else field_of(name).stored.arrow
                found[name if name in ENVELOPE else "d." + name] = held.column(stored)
        return found

    def rest_texts(self) -> pa.Array | None:
        """Fields without a column, as one JSON object a row; names in order."""
        parts: dict[int, list[bytes]] = {}
        for name in sorted(self.rest):
            held = self.rest[name]
            head = as_json(name) + b":"
            written = [head + as_json(value) for value in held.values]
            for row in held.rows():
                parts.setdefault(row, []).append(written[held.index[row]])
        return texts_of(parts, self.rows)

    def attribute_maps(self) -> pa.Array | None:
        """What stays an attribute: one map a row. What is too long or too many goes to the contents."""
        rows, pairs = self._attributes.entries()
        kept = self._kept & self._attributes.given()
        rows, pairs = rows[kept], pairs[kept]
        used, values = np.unique(pairs, return_inverse=True)
        texts = [as_text(self._attributes.values[pair]) for pair in used.tolist()]
        names, named = list(self._attributes.names), self._attributes.named(pairs)
        if self.extra:
            own_rows, own_names, own_texts = zip(*self.extra, strict=True)
            new = [name for name in dict.fromkeys(own_names) if name not in self._attributes.known]
            places = {**self._attributes.known, **{name: len(names) + place for place, name in enumerate(new)}}
            rows = np.concatenate([rows, np.array(own_rows, np.int64)])
            named = np.concatenate([named, np.array([places[name] for name in own_names], np.int64)])
            values = np.concatenate([values, np.arange(len(own_texts)) + len(texts)])
            names, texts = [*names, *new], [*texts, *own_texts]
        if not len(rows):
            return None
        rank = np.empty(len(names), np.int64)
        rank[np.array(sorted(range(len(names)), key=names.__getitem__))] = np.arange(len(names))
        order = np.lexsort((rank[named], rows))
        rows, named, values = rows[order], named[order], values[order]
        fits = self._fitting(rows, named, values, names, texts)
        fits[:-1] &= (rows[1:] != rows[:-1]) | (named[1:] != named[:-1])  # of two, the last: what the hub says itself
        if not fits.all():
            rows, named, values = rows[fits], named[fits], values[fits]
        keys, items = (pa.array(words, pa.string()) for words in (names, texts))
        return maps(np.bincount(rows, minlength=self.rows), keys.take(pa.array(named)), items.take(pa.array(values)))

    def _fitting(self, rows: Ints, named: Ints, values: Ints, names: Sequence[str], texts: Sequence[str]) -> Mask:
        fits: Mask = np.arange(len(rows)) - np.searchsorted(rows, rows) < MAX_ATTRIBUTES
        fits &= np.array([len(name) <= NAME_LENGTH for name in names], np.bool_)[named]
        fits &= np.array([len(text) <= MAX_ATTRIBUTE_LENGTH for text in texts], np.bool_)[values]
        for place in np.flatnonzero(~fits).tolist():
            self.contents.more(int(rows[place]), names[named[place]], texts[values[place]])
        return fits


def texts_of(parts: Mapping[int, list[bytes]], rows: int) -> pa.Array | None:
    """Members of JSON objects by row → a column of the objects; None for no member at all."""
    if not parts:
        return None
    return pa.array(
        [(b"{" + b",".join(parts[row]) + b"}").decode() if row in parts else None for row in range(rows)], pa.string()
    )


def _rank(name: str) -> int:
    return meanings.FIELDS[name][0]
