"""What the columns of a body must hold: which rows are wrong, or not sure to be right.

A row that is marked here goes to the row path, which knows better; an unmarked one is certainly good. Each check may
therefore be as rough as it likes in one direction. None stands for "no row".
"""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pyarrow.compute as pc

from ingest.decode.column import Column
from ingest.decode.learn import Kind
from ingest.decode.texts import Mask
from schemas.columns import EventField
from schemas.fields import NAME_LENGTH

#: JSON text of an array of numbers, and of one of texts.
_NUMBERS: Final = r"^\[[-+0-9.eE, ]*\]$"
_TEXTS: Final = r'^\[("([^"\\]|\\.)*"(, ?"([^"\\]|\\.)*")*)?\]$'
#: An array with so many bytes has fewer than 10,000 items.
_SHORT_ARRAY: Final = 20_000
#: Whole numbers above this are not exact in floating point.
EXACT: Final = 2.0**53

#: How the JSON text of a field that holds an array or object must look; other fields may hold anything.
_PATTERNS: Final[Mapping[str, str]] = {
    "scores": _NUMBERS,
    "bounds": _NUMBERS,
    "bucket_counts": _NUMBERS,
    "document_ids": _TEXTS,
    "relevant_ids": _TEXTS,
    "events": r"^\[\]$",
    "links": r"^\[\]$",
    "properties": r"^\{",
}
_KINDS: Final[Mapping[str, tuple[Kind, ...]]] = {
    "string": ("text", "int"),
    "int64": ("int", "float"),
    "float64": ("float", "int"),
    "bool": ("bool",),
}


def too_long(column: Column, limit: int, least: int = 0) -> Mask | None:
    """Texts of more than ``limit`` bytes (so of maybe as many characters), or of less than ``least``."""
    lengths = column.texts.lengths
    if not len(lengths) or (lengths.max() <= limit and (not least or lengths.min() >= least)):
        return None
    return ((lengths > limit) | (lengths < least)) & column.valid


def name(column: Column) -> Mask | None:
    """Names of the envelope: texts that are not too long, or whole numbers."""
    if column.kind == "text":
        return too_long(column, NAME_LENGTH)
    return None if column.kind == "int" else column.valid


def own_field(column: Column, field: EventField) -> Mask | None:
    """Values that a field of the row's own type may not have."""
    return _typed(column, field, own=True)


def column_of_other_type(column: Column, field: EventField) -> Mask | None:
    """Values that do not fit the column of their name, which belongs to other types."""
    exact_kind = {"string": "text", "int64": "int", "float64": "float", "bool": "bool"}[field.stored.arrow]
    if column.kind != exact_kind and (column.kind, exact_kind) != ("int", "float"):
        return column.valid
    return _typed(column, field, own=False)


def inexact(column: Column) -> Mask | None:
    """Numbers of a column of mixed whole and other numbers that may have lost digits."""
    if column.kind != "float" or np.abs(column.numbers).max(initial=0) < EXACT:
        return None
    large: Mask = np.abs(column.numbers) >= EXACT
    return large


def _typed(column: Column, field: EventField, *, own: bool) -> Mask | None:
    stored = field.stored.arrow
    if stored == "json":
        return _json(column, field.name)
    if column.kind not in _KINDS[stored]:
        return column.valid
    if stored == "string":
        return _text(column, field, own=own)
    return None if stored == "bool" else _number(column, field)


def _json(column: Column, name: str) -> Mask | None:
    if name not in _PATTERNS:
        return None
    if column.kind != "json":
        return column.valid
    wrong = pc.or_(
        pc.invert(pc.match_substring_regex(column.array, _PATTERNS[name])),
        pc.greater(pc.binary_length(column.array), _SHORT_ARRAY),
    )
    mask: Mask = wrong.fill_null(False).to_numpy(zero_copy_only=False)
    return mask


def _text(column: Column, field: EventField, *, own: bool) -> Mask | None:
    if column.kind == "int":
        return column.valid if field.choices else None
    if field.choices and own:
        return column.rows_with([value not in field.choices for value in column.values])
    return too_long(column, field.max_length or NAME_LENGTH, field.min_length or 0 if own else 0)


def _number(column: Column, field: EventField) -> Mask | None:
    wrong = list(_limits(column, field))
    if not wrong:
        return None
    mask: Mask = np.logical_or.reduce(wrong) & column.valid
    return mask


def _limits(column: Column, field: EventField) -> Iterator[Mask]:
    values = column.numbers
    if field.minimum is not None and field.minimum > -(2**62) and values.min(initial=field.minimum) < field.minimum:
        yield values < field.minimum
    if field.maximum is not None and field.maximum < 2**62 and values.max(initial=field.minimum or 0) > field.maximum:
        yield values > field.maximum
    if column.kind == "float" and field.stored.arrow == "int64":
        yield (values != np.floor(values)) | (np.abs(values) >= EXACT)
