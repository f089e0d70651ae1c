"""All attributes of a body: every different one is read once, and the rest is arithmetic over columns of numbers."""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ingest.otlp.values import Value, text_of, value_of, value_of_json
from ingest.otlp.wire import MESSAGES

Ints = npt.NDArray[np.int64]

_KEY_VALUE: Final = MESSAGES["KeyValue"]


class _Known(dict[Any, int]):
    """What was read so far → its number; what is new is read and numbered."""

    def __init__(self, number: Callable[[Any], int]) -> None:
        self._number = number

    def __missing__(self, written: Any) -> int:
        found = self[written] = self._number(written)
        return found


class Attributes:
    """The attributes of the rows of one body, or of several that are read together.

    A *pair* is a name with a value; equal pairs are one. Rows are added in order, each with the pairs of its resource
    and its scope and then with its own.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.values: list[Value] = []
        self._name_of: list[int] = []
        self._names: dict[str, int] = {}
        self._encoded = _Known(self._read)
        self._spelt = _Known(self._spell)
        self._plain: dict[tuple[str, type, Value], int] = {}
        self._pairs = array("q")
        self._counts = array("q")
        #: Pairs that rows have in common, and the first of these rows.
        self._shared: list[tuple[int, Sequence[int]]] = []

    # --- reading

    def encoded(self, pairs: Iterable[bytes]) -> list[int]:
        """Numbers of pairs as protobuf has them.

        Raises
        ------
        google.protobuf.message.DecodeError
            One of them cannot be read.
        """
        return list(map(self._encoded.__getitem__, pairs))

    def json(self, pairs: Iterable[Any]) -> list[int]:
        """Numbers of pairs as JSON has them; what is no pair is passed over."""
        return [
            self.number(pair["key"], value_of_json(pair.get("value")))
            for pair in pairs
            if isinstance(pair, dict) and isinstance(pair.get("key"), str)
        ]

    def number(self, name: str, value: Value) -> int:
        """The number of a pair."""
        if isinstance(value, list | dict):
            return self._add(name, value)
        key = (name, type(value), value)
        found = self._plain.get(key)
        if found is None:
            found = self._plain[key] = self._add(name, value)
        return found

    def _read(self, encoded: bytes) -> int:
        message = _KEY_VALUE.FromString(encoded)
        value = message.value
        self._name_of.append(self._spelt[message.key])
        self.values.append(text_of(value.text) if value.HasField("text") else value_of(value))
        return len(self.values) - 1

    def _spell(self, name: bytes) -> int:
        return self._name(text_of(name))

    def _name(self, name: str) -> int:
        place = self._names.setdefault(name, len(self.names))
        if place == len(self.names):
            self.names.append(name)
        return place

    def _add(self, name: str, value: Value) -> int:
        self._name_of.append(self._name(name))
        self.values.append(value)
        return len(self.values) - 1

    def row(self, shared: Sequence[int], own: Sequence[int]) -> None:
        """Add a row; where rows share pairs, these are the same object."""
        if not self._shared or self._shared[-1][1] is not shared:
            self._shared.append((len(self._counts), shared))
        self._pairs.extend(own)
        self._counts.append(len(own))

    def cut(self, rows: int) -> None:
        """Forget all rows but the first ones; what was read of the others is kept, and harmless."""
        del self._pairs[sum(self._counts[:rows]) :]
        del self._counts[rows:]
        self._shared = [one for one in self._shared if one[0] < rows]

    # --- columns; no row may be added any more

    def __len__(self) -> int:
        return len(self._counts)

    @cached_property
    def _name_of_pair(self) -> Ints:
        return np.array(self._name_of, np.int64)

    @cached_property
    def _order(self) -> tuple[Ints, Ints, Ints]:
        """Rows and pairs by name (and row), without those that come again in a row; and where each name begins."""
        rows, pairs = self._given()
        names = self._name_of_pair[pairs] if len(pairs) else pairs
        order = np.argsort(names * max(len(self), 1) + rows, kind="stable")
        pairs, rows, names = pairs[order], rows[order], names[order]
        # The last of equal names counts: a span's own over its resource's.
        last = np.ones(len(pairs), np.bool_)
        last[:-1] = (names[1:] != names[:-1]) | (rows[1:] != rows[:-1])
        if not last.all():
            pairs, rows, names = pairs[last], rows[last], names[last]
        return rows, pairs, np.searchsorted(names, np.arange(len(self.names) + 1))

    def _given(self) -> tuple[Ints, Ints]:
        """Row and pair of every attribute; of a row, those that it shares with others come first."""
        rows: list[Ints] = []
        pairs: list[Ints] = []
        ends = [*(first for first, _ in self._shared[1:]), len(self)]
        for (first, shared), end in zip(self._shared, ends, strict=False):
            rows.append(np.repeat(np.arange(first, end), len(shared)))
            pairs.append(np.tile(np.array(shared, np.int64), end - first))
        rows.append(np.repeat(np.arange(len(self)), np.array(self._counts, np.int64)))
        pairs.append(np.array(self._pairs, np.int64))
        return np.concatenate(rows), np.concatenate(pairs)

    @cached_property
    def _of_name(self) -> tuple[Ints, Ints, Ints]:
        """The pairs by name, where each name begins, and the place of every pair among those of its name."""
        order = np.argsort(self._name_of_pair, kind="stable")
        bounds = np.searchsorted(self._name_of_pair[order], np.arange(len(self.names) + 1))
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order)) - bounds[self._name_of_pair[order]]
        return order, bounds, place

    def column(self, name: str) -> "Column | None":
        """The values of a name; None where nobody has it."""
        number = self._names.get(name)
        return None if number is None else self.column_of(number)

    def column_of(self, number: int) -> "Column":
        """The values of a name, by its place in :attr:`names`."""
        rows, pairs, bounds = self._order
        order, first, place = self._of_name
        here = slice(bounds[number], bounds[number + 1])
        values = [self.values[pair] for pair in order[first[number] : first[number + 1]].tolist()]
        return Column(values, rows[here], place[pairs[here]], here)

    def entries(self) -> tuple[Ints, Ints]:
        """Row and pair of every attribute, by name."""
        return self._order[0], self._order[1]

    def given(self) -> npt.NDArray[np.bool_]:
        """Which of the entries have a value at all."""
        empty = [pair for pair, value in enumerate(self.values) if value is None]
        return np.isin(self._order[1], empty, invert=True) if empty else np.ones(len(self._order[1]), np.bool_)

    def named(self, pairs: Ints) -> Ints:
        """The places of pairs' names in :attr:`names`."""
        return self._name_of_pair[pairs] if len(pairs) else pairs

    @property
    def known(self) -> Mapping[str, int]:
        """Name → its place in :attr:`names`."""
        return self._names


class Column:
    """The values of one name: the different ones, and which row has which.

    Parameters
    ----------
    values
        The different values.
    rows, index
        Rows that have one, and its place in ``values``.
    entries
        Where these are among all entries of :meth:`Attributes.entries`.
    """

    __slots__ = ("entries", "index", "rows", "values")

    def __init__(self, values: list[Value], rows: Ints, index: Ints, entries: slice) -> None:
        self.values = values
        self.rows = rows
        self.index = index
        self.entries = entries

    def items(self) -> Iterable[tuple[int, Value]]:
        """Row and value."""
        return zip(self.rows.tolist(), map(self.values.__getitem__, self.index.tolist()), strict=True)
