"""What GET endpoints take in their query string: range, filters, grouping, page."""

import csv
import re
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import ValidationError

from core.errors import Unprocessable
from semantic.filters import OPERATORS
from semantic.question import Question

#: Rows of a page, unless told otherwise, and at most.
PAGE: Final = 100
MAX_PAGE: Final = 5000

_FILTER = re.compile(rf"(.+?):({'|'.join(OPERATORS)})(?::(.*))?", re.DOTALL)

Filters = Annotated[
    list[str],
    Query(
        alias="filter",
        max_length=50,
        description="`NAME:OP:VALUE,VALUE`, as often as needed; values with commas in double quotes.",
        examples=["model:in:gpt-4o,gpt-4o-mini"],
    ),
]
From = Annotated[str, Query(alias="from", max_length=64, description="`now-1h`, `now/d`, ISO 8601, epoch ms.")]
To = Annotated[str, Query(alias="to", max_length=64, description="The same; not included.")]
Zone = Annotated[str, Query(max_length=64, description="IANA name of the time zone of days and roundings.")]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="Rows of a page.")]
Cursor = Annotated[str | None, Query(max_length=300, description="`meta.cursor` of the page before.")]


def parse_filter(text: str, index: int) -> dict[str, Any]:
    """``model:in:a,b`` as a filter of a question.

    Raises
    ------
    Unprocessable
        Not of that form.

    Examples
    --------
    >>> parse_filter('model:in:gpt-4o,"a,b"', 0)
    {'field': 'model', 'op': 'in', 'values': ['gpt-4o', 'a,b']}
    """
    match = _FILTER.fullmatch(text)
    if match is None:
        raise Unprocessable(
            f"filter.{index}: write NAME:OP:VALUE,VALUE with OP one of {', '.join(OPERATORS)}.", field=f"filter.{index}"
        )
    field, op, values = match.groups()
    return {"field": field, "op": op, "values": [] if values is None else _values(op, values)}


def _values(op: str, text: str) -> list[str]:
    """Only ``in`` and ``not_in`` take several: the others keep their commas."""
    if op not in ("in", "not_in"):
        return [text]
    try:
        return next(csv.reader([text], strict=False), [""])
    except csv.Error:
        return text.split(",")


def build(given: dict[str, Any]) -> Question:
    """The question of a GET request; pydantic's complaints become the hub's.

    Raises
    ------
    Unprocessable
        Wrong names or values.
    """
    try:
        return Question.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unprocessable(f"{where}: {first['msg']}", field=where) from None
