"""One column of a body, to be looked at as numpy arrays; each view is made when it is first asked for."""

from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode.learn import Kind
from ingest.decode.texts import Mask, Texts

#: A column with fewer values than this part of its rows is kept as a dictionary.
_REPEATED: Final = 4
_INDICES: Final = ((np.int8, pa.int8()), (np.int16, pa.int16()), (np.int32, pa.int32()))


class Column:
    """A column with the kind that it was read as.

    Parameters
    ----------
    values
        Of polars, or of Arrow: ``string``, ``large_string``, ``int64``, ``double`` or ``bool``.
    kind
        See :data:`ingest.decode.learn.Kind`.
    """

    def __init__(self, values: pl.Series | pa.Array, kind: Kind) -> None:
        self._given = values
        self.kind = kind

    def __len__(self) -> int:
        return len(self._given)

    @cached_property
    def series(self) -> pl.Series:
        """As a series of polars."""
        return self._given if isinstance(self._given, pl.Series) else pl.Series(pl.from_arrow(self._given))

    @cached_property
    def array(self) -> pa.Array:
        """As one Arrow array: ``string``, ``large_string``, ``int64``, ``double`` or ``bool``."""
        return one_chunk(self._given.to_arrow()) if isinstance(self._given, pl.Series) else self._given

    @cached_property
    def nulls(self) -> int:
        """How many rows have no value."""
        return self._given.null_count() if isinstance(self._given, pl.Series) else int(self._given.null_count)

    @property
    def full(self) -> bool:
        """Whether every row has a value."""
        return self.nulls == 0

    @cached_property
    def valid(self) -> Mask:
        """Which rows have a value."""
        return np.ones(len(self), np.bool_) if self.full else _valid(self.array)

    @cached_property
    def texts(self) -> Texts:
        """The bytes of the texts."""
        return Texts(self.array, self.valid)

    @cached_property
    def numbers(self) -> npt.NDArray[Any]:
        """The numbers; 0 where there is none."""
        array = self.array
        if self.full:
            numbers: npt.NDArray[Any] = array.to_numpy(zero_copy_only=False)
            return numbers
        dtype = np.float64 if self.kind == "float" else np.int64
        held = np.frombuffer(array.buffers()[1], dtype)[array.offset : array.offset + len(array)]
        return np.where(self.valid, held, dtype(0))  # what lies under a null is undefined

    @cached_property
    def dictionary(self) -> pa.DictionaryArray:
        """The texts as a dictionary: what is said of its few values is said of all rows."""
        return pc.dictionary_encode(self.array)

    @cached_property
    def values(self) -> list[str]:
        """The different texts."""
        found: list[str] = self.dictionary.dictionary.to_pylist()
        return found

    @cached_property
    def codes(self) -> npt.NDArray[np.int32]:
        """The place of each row's text in :attr:`values`; -1 where there is none."""
        indices = self.dictionary.indices
        codes: npt.NDArray[np.int32] = (indices if self.full else indices.fill_null(-1)).to_numpy()
        return codes

    def rows_with(self, values: list[bool]) -> Mask | None:
        """Rows whose text is one of those marked; None for none. ``values`` runs beside :attr:`values`."""
        if not any(values):
            return None
        marked: Mask = np.array([*values, False])[self.codes]  # -1 is the last one
        return marked

    def compact(self, wanted: pa.DataType) -> pa.Array:
        """The column as it goes into the log: a dictionary with small indices where texts repeat."""
        count = len(self.dictionary.dictionary)
        if count * _REPEATED > len(self):
            return self.array.cast(wanted)
        width, index = next(pair for pair in _INDICES if count < np.iinfo(pair[0]).max)
        indices = self.dictionary.indices
        small = pa.array(indices.to_numpy().astype(width)) if self.full else indices.cast(index)
        return pa.DictionaryArray.from_arrays(small, self.dictionary.dictionary.cast(wanted), safe=False)


def one_chunk(array: Any) -> pa.Array:
    """A chunked array as an array."""
    if not isinstance(array, pa.ChunkedArray):
        return array
    joined = array.combine_chunks()
    return pa.concat_arrays(joined.chunks) if isinstance(joined, pa.ChunkedArray) else joined


def _valid(array: pa.Array) -> Mask:
    mask: Mask = array.is_valid().to_numpy(zero_copy_only=False)
    return mask
