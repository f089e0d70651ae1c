"""The traces that brought a record about, in its headers: whoever works on the record goes on with them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

from broker.log import NewRecord, Record

_NAME: Final = "traceparent"
#: Of a record, and of all records of a block.
_MOST: Final = 8


def traced(records: Sequence[NewRecord], traceparents: Sequence[str]) -> list[NewRecord]:
    """The records with a header for each trace, the first of them what the others are linked to."""
    headers = tuple((_NAME, one.encode()) for one in traceparents[:_MOST] if one)
    return [replace(record, headers=(*record.headers, *headers)) for record in records]


def traces_of(records: Iterable[Record]) -> list[str]:
    """What brought the records about, each once, the first few.

    Examples
    --------
    >>> record = Record("t", 0, 7, None, b"", (("rows", b"3"), ("traceparent", b"00-a-b-01")), 0)
    >>> traces_of([record, record])
    ['00-a-b-01']
    """
    named = (value for record in records for name, value in record.headers if name == _NAME)
    return list(islice(dict.fromkeys(value.decode("latin-1") for value in named), _MOST))
