"""Usage that has no column of its own: kinds of tokens and service tiers in ``data``, and text to estimate from."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from genai_prices.data_units import unit_data

from streams.columnar import Ints, flat

Context = tuple[tuple[str, str], ...]
Usage = tuple[tuple[str, int | float], ...]

#: Fields of ``data`` that choose among a model's prices.
_CONTEXT: Final = ("service_tier", "speed", "search_type")
#: Kinds of usage that are columns, or that every call has.
_COLUMNS: Final = frozenset(
    ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "output_reasoning_tokens", "requests")
)
_CHARACTERS_PER_TOKEN: Final = 4
#: Every name looked for contains one of these: one pass over the whole column's bytes mostly settles it.
_HINT: Final = re.compile(rb'_tier"|"speed"|search|_audio|_image|_video|_hours"|_pages"|_text|_tool|_[15][hm]_|_chars"')


@dataclass(frozen=True, slots=True)
class Details:
    """What ``data`` says about the price of calls.

    ``context`` is an index into ``contexts`` for every row; ``usage`` names the rows with further kinds of usage.
    """

    context: Ints
    contexts: Sequence[Context]
    usage: list[tuple[int, Usage]]


@cache
def _kinds() -> frozenset[str]:
    return frozenset(unit_data) - _COLUMNS


def read_details(table: pa.Table) -> Details:
    """Service tiers and further kinds of usage, of the few rows that have any."""
    context = np.zeros(table.num_rows, np.int64)
    usage: list[tuple[int, Usage]] = []
    known: dict[Context, int] = {(): 0}
    for row, fields in _rows_with_details(table):
        chosen = tuple((name, value) for name in _CONTEXT if isinstance(value := fields.get(name), str))
        context[row] = known.setdefault(chosen, len(known))
        further = tuple(sorted((name, fields[name]) for name in fields.keys() & _kinds() if _is_amount(fields[name])))
        if further:
            usage.append((row, further))
    return Details(context, list(known), usage)


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _rows_with_details(table: pa.Table) -> Iterator[tuple[int, dict[str, Any]]]:
    if "data" not in table.column_names:
        return
    column = flat(table.column("data"))
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    content = column.buffers()[2]
    if content is None or not _HINT.search(content):
        return
    for row in np.flatnonzero(
        np.asarray(pc.fill_null(pc.match_substring_regex(column, _HINT.pattern.decode()), False))
    ):
        fields = orjson.loads(column[int(row)].as_py())
        if isinstance(fields, dict):
            yield int(row), fields


def estimate_tokens(table: pa.Table, rows: Ints) -> Iterator[tuple[int, tuple[int, int]]]:
    """Tokens of prompt and answer of these rows, from the characters of the captured text.

    Rows without any text are left out.
    """
    if not len(rows) or "body" not in table.column_names:
        return
    column = flat(table.column("body"))
    for row in rows:
        content = column[int(row)].as_py()
        if content is None:
            continue
        fields = orjson.loads(content)
        asked, answered = _characters(fields.get("input_messages")), _characters(fields.get("output_messages"))
        if asked or answered:
            yield int(row), (-(-asked // _CHARACTERS_PER_TOKEN), -(-answered // _CHARACTERS_PER_TOKEN))


def _characters(value: Any) -> int:
    """Characters of the text in messages: the contents, not the names of the fields or the roles."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_characters(item) for item in value)
    if isinstance(value, dict):
        return sum(_characters(item) for name, item in value.items() if name not in ("role", "type", "id"))
    return 0
