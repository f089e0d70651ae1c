"""The values of one field over the rows of a body."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ingest.decode.column import Column
from ingest.decode.learn import Kind
from ingest.decode.texts import Mask
from ingest.otlp.attributes import Ints

_KINDS: Final[Mapping[str, tuple[Kind, pa.DataType]]] = {
    "string": ("text", pa.large_string()),
    "int64": ("int", pa.int64()),
    "float64": ("float", pa.float64()),
    "bool": ("bool", pa.bool_()),
}


class Held:
    """The values of one field: the different ones, and which row has which (−1: none)."""

    __slots__ = ("index", "values")

    def __init__(self, rows: int) -> None:
        self.values: list[Any] = []
        self.index: npt.NDArray[np.int64] = np.full(rows, -1, np.int64)

    def put(self, values: Sequence[Any], rows: Ints, index: Ints) -> Mask:
        """Give rows that have none yet a value, unless that is None; whether each row has this value now."""
        if not len(rows):
            return np.zeros(0, np.bool_)
        fits = np.array([value is not None for value in values], np.bool_)[index]
        free = fits & (self.index[rows] < 0)
        base = len(self.values)
        self.values.extend(values)
        self.index[rows[free]] = index[free] + base
        held = free.copy()
        for place in np.flatnonzero(fits & ~free).tolist():
            held[place] = self.values[self.index[rows[place]]] == values[index[place]]
        return held

    def set(self, row: int, value: Any) -> None:
        """Give a row a value, whatever it had."""
        self.values.append(value)
        self.index[row] = len(self.values) - 1

    def set_all(self, rows: Sequence[int], values: Sequence[Any]) -> None:
        """Give rows a value each, whatever they had."""
        self.index[np.array(rows, np.int64)] = np.arange(len(rows)) + len(self.values)
        self.values.extend(values)

    def lacking(self) -> list[bool]:
        """Of each row whether it has no value."""
        found: list[bool] = (self.index < 0).tolist()
        return found

    def get(self, row: int) -> Any:
        """The value of a row, or None."""
        place = self.index[row]
        return None if place < 0 else self.values[place]

    def drop(self, row: int) -> None:
        """Take a row's value away."""
        self.index[row] = -1

    def rows(self) -> list[int]:
        """Rows that have a value."""
        found: list[int] = np.flatnonzero(self.index >= 0).tolist()
        return found

    def column(self, stored: str) -> Column:
        """As the normaliser takes it."""
        kind, arrow = _KINDS[stored]
        return Column(pa.array(self.values, arrow).take(pa.array(self.index, mask=self.index < 0)), kind)
