"""Moments as people write them: ``now-1h``, ``now/d``, ISO dates, epoch milliseconds."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from core.errors import Unprocessable

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
_RELATIVE = re.compile(r"now(?:([+-])(\d{1,9})([smhdwMy]))?(?:/([smhdwMy]))?", re.ASCII)
SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_EXAMPLE: Final = "write `now-1h`, `now/d`, `2026-11-20T12:00:00Z` or epoch milliseconds"


@lru_cache(maxsize=64)
def zone(name: str, where: str = "time_zone") -> ZoneInfo:
    """The time zone of an IANA name; raises ``Unprocessable`` for an unknown one."""
    if name not in available_timezones():
        raise Unprocessable(
            f"{where}: there is no time zone `{name[:64]}`; use an IANA name like `Europe/Berlin`.", field=where
        )
    return ZoneInfo(name)


def parse_moment(value: str | float, now: datetime, tz: ZoneInfo, where: str) -> datetime:
    """The moment that ``value`` names, UTC, in microseconds.

    Parameters
    ----------
    value
        ``now`` with an offset and a rounding down (``now-1d/d``), ISO 8601 (without an offset in ``tz``), a date, or
        epoch milliseconds.
    now
        The time of the question.
    tz
        Zone of roundings and of texts without an offset.
    where
        Field path for errors.

    Raises
    ------
    Unprocessable
        Not a time, or outside 1990–2200.

    Examples
    --------
    >>> now = datetime(2026, 11, 20, 12, 34, tzinfo=UTC)
    >>> parse_moment("now-1d/d", now, ZoneInfo("UTC"), "time.from").isoformat()
    '2026-11-19T00:00:00+00:00'
    """
    try:
        moment = _parse(value, now, tz)
    except (ValueError, OverflowError):
        raise Unprocessable(f"{where}: `{str(value)[:64]}` is no time; {_EXAMPLE}.", field=where) from None
    if not _EARLIEST <= moment <= _LATEST:
        raise Unprocessable(f"{where}: `{str(value)[:64]}` is outside 1990–2200; {_EXAMPLE}.", field=where)
    return moment


def is_relative(value: str | float) -> bool:
    """Whether a moment moves with the clock and was not rounded by who asks."""
    return isinstance(value, str) and value.strip().startswith("now") and "/" not in value


def grain(span: timedelta) -> timedelta:
    """The bucket that the moving ends of a range are cut to: at most a forty-eighth of the range; zero for short ones.

    Examples
    --------
    >>> [grain(timedelta(minutes=minutes)).total_seconds() for minutes in (1, 15, 360, 10_080, 43_200)]
    [0.0, 10.0, 60.0, 3600.0, 21600.0]
    """
    for width in (timedelta(hours=6), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=10)):
        if span >= 48 * width:
            return width
    return timedelta(0)


def _parse(value: str | float, now: datetime, tz: ZoneInfo) -> datetime:
    if not isinstance(value, str):
        return EPOCH + timedelta(milliseconds=value)
    text = value.strip()
    if match := _RELATIVE.fullmatch(text):
        sign, count, unit, rounding = match.groups()
        moment = now if sign is None else shift(now, int(sign + count), unit, tz)
        return floor(moment, rounding, tz) if rounding else moment
    if re.fullmatch(r"-?\d{11,}", text, re.ASCII):
        return EPOCH + timedelta(milliseconds=int(text))
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=tz)).astimezone(UTC)


def shift(moment: datetime, count: int, unit: str, tz: ZoneInfo) -> datetime:
    """``moment`` moved by ``count`` units; days and longer keep the wall clock of ``tz``."""
    if unit in "smh":
        return moment + timedelta(seconds=count * SECONDS[unit])
    local = moment.astimezone(tz)
    if unit in "dw":
        moved = local.replace(tzinfo=None) + timedelta(seconds=count * SECONDS[unit])
    else:
        months = local.year * 12 + local.month - 1 + count * (12 if unit == "y" else 1)
        first = local.replace(tzinfo=None, year=months // 12, month=months % 12 + 1, day=1)
        moved = min(first + timedelta(days=local.day - 1), _last_day(first))
    return moved.replace(tzinfo=tz).astimezone(UTC)


def _last_day(first: datetime) -> datetime:
    """The last day of the month that begins on ``first``, with its time of day."""
    following = (first + timedelta(days=31)).replace(day=1)
    return following - timedelta(days=1)


def floor(moment: datetime, unit: str, tz: ZoneInfo) -> datetime:
    """The start of the second, minute, hour, day, week (Monday), month or year that ``moment`` lies in, in ``tz``."""
    local = moment.astimezone(tz)
    kept = {"s": 6, "m": 5, "h": 4}.get(unit, 3)
    parts = [local.year, local.month, local.day, local.hour, local.minute, local.second][:kept]
    start = datetime(*parts, fold=local.fold)  # type: ignore[arg-type]  # noqa: DTZ001
    if unit == "w":
        start -= timedelta(days=start.weekday())
    elif unit == "M":
        start = start.replace(day=1)
    elif unit == "y":
        start = start.replace(month=1, day=1)
    return start.replace(tzinfo=tz).astimezone(UTC)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - EPOCH) // timedelta(microseconds=1)
