"""A time that people send: with an offset, kept in UTC."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is beyond the years 1 to 9999") from error


#: A pydantic type: refuses a time without an offset, and one that is outside the calendar once in UTC.
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
