"""Cursors: where a page ends, and the range that all pages of one answer share."""

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from core.errors import Unprocessable
from semantic.question import MAX_ROWS, Question
from semantic.times import EPOCH, micros


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list of rows: how many came before, over a range that no longer moves with the clock."""

    offset: int
    start: int
    end: int

    def text(self) -> str:
        """As a cursor."""
        return base64.urlsafe_b64encode(orjson.dumps([self.offset, self.start, self.end])).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """The place that a cursor names.

    Raises
    ------
    Unprocessable
        Not a cursor of the hub.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        found = orjson.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        offset, start, end = (_whole(item) for item in found)
    except (ValueError, TypeError, binascii.Error):
        raise Unprocessable("cursor: take it from `meta.cursor` of the page before.", field="cursor") from None
    if not 0 <= offset <= MAX_ROWS:
        raise Unprocessable("cursor: lies beyond the last page; ask an export instead.", field="cursor")
    return Place(offset, start, end)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 62:
        raise ValueError
    return value


def fixed(question: Question, start: datetime, end: datetime) -> Question:
    """The question over a range that no longer moves."""
    time = {"from": start.isoformat(), "to": end.isoformat()}
    return Question.model_validate({**question.model_dump(by_alias=True, exclude_none=True), "time": time})


def first_place(start: datetime, end: datetime) -> Place:
    """The beginning of the first page."""
    return Place(0, micros(start), micros(end))


def moments(place: Place) -> tuple[datetime, datetime]:
    """The range of a place."""
    try:
        return EPOCH + timedelta(microseconds=place.start), EPOCH + timedelta(microseconds=place.end)
    except OverflowError:
        raise Unprocessable("cursor: take it from `meta.cursor` of the page before.", field="cursor") from None
