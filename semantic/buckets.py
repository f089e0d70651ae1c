"""Granularity: from a moment to its bucket, in SQL and in Python alike."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from core.errors import Unprocessable
from semantic.times import EPOCH, SECONDS, micros

_GRANULARITY = re.compile(r"([1-9]\d{0,4})([smhdwM])", re.ASCII)
_DAY_ZERO: Final = date(1970, 1, 1)
#: Days from 1970-01-01, a Thursday, to the first Monday.
_MONDAY: Final = 4

#: What ``auto`` chooses from, coarsest last.
AUTO: Final = ("1s", "5s", "10s", "30s", "1m", "5m", "10m", "30m", "1h", "3h", "6h", "12h", "1d", "1w", "1M")
#: About how many buckets ``auto`` aims for.
AUTO_BUCKETS: Final = 150


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets of one width in one time zone.

    A bucket is known by an integer key, computed by the same rule in SQL (:meth:`sql`) and in Python (:meth:`key`):

    - ``fixed`` (seconds to an hour, and hours where the zone is UTC): start in epoch seconds, aligned to the zone's
      offset at the beginning of the range;
    - ``hours`` of a zone with daylight saving: local day × 24 + first hour;
    - ``days`` (and weeks, from Monday): local days since 1970; ``months``: local months since year 0.
    """

    kind: Literal["fixed", "hours", "days", "months"]
    width: int
    tz: ZoneInfo
    anchor: int = 0

    def sql(self, time: str, tz: str) -> str:
        """SQL of the key over a time column; ``tz`` is the placeholder of the zone's name."""
        if self.kind == "fixed":
            return _aligned(f"toInt64(toUnixTimestamp({time}))", self.width, self.anchor)
        if self.kind == "hours":
            return f"toInt64(toDate({time}, {tz})) * 24 + {_aligned(f'toHour({time}, {tz})', self.width, 0)}"
        if self.kind == "days":
            return _aligned(f"toInt64(toDate({time}, {tz}))", self.width, self.anchor)
        return _aligned(f"toInt64(toYear({time}, {tz})) * 12 + toMonth({time}, {tz}) - 1", self.width, 0)

    def key(self, moment: datetime) -> int:
        """The key of the bucket that ``moment`` lies in."""
        if self.kind == "fixed":
            return _align(micros(moment) // 1_000_000, self.width, self.anchor)
        local = moment.astimezone(self.tz)
        days = (local.date() - _DAY_ZERO).days
        if self.kind == "hours":
            return days * 24 + _align(local.hour, self.width, 0)
        if self.kind == "days":
            return _align(days, self.width, self.anchor)
        return _align(local.year * 12 + local.month - 1, self.width, 0)

    def start(self, key: int) -> datetime:
        """When the bucket begins, UTC."""
        if self.kind == "fixed":
            return EPOCH + timedelta(seconds=key)
        if self.kind == "months":
            local = datetime(key // 12, key % 12 + 1, 1, tzinfo=self.tz)
        else:
            days, hour = divmod(key, 24) if self.kind == "hours" else (key, 0)
            day = _DAY_ZERO + timedelta(days=days)
            local = datetime(day.year, day.month, day.day, hour, tzinfo=self.tz)
        return local.astimezone(UTC)

    def following(self, key: int) -> int:
        """The key of the next bucket."""
        if self.kind == "hours":
            days, hour = divmod(key + self.width, 24)
            return days * 24 + (hour if hour % self.width == 0 else 0)
        return key + self.width

    def keys(self, start: datetime, end: datetime) -> Iterator[int]:
        """The keys of all buckets that [start, end) touches."""
        key, last = self.key(start), self.key(end - timedelta(microseconds=1))
        while key <= last:
            yield key
            key = self.following(key)

    def count(self, start: datetime, end: datetime) -> int:
        """About how many buckets [start, end) touches, without making them."""
        per_key = {"fixed": 1, "hours": 3600, "days": 86400, "months": 86400 * 28}[self.kind]
        return int((end - start).total_seconds() // (per_key * self.width)) + 2

    def aligned_to(self, seconds: int, start: datetime, end: datetime) -> bool:
        """Whether every edge inside the range is a multiple of ``seconds``: rows rolled up to that fit."""
        if self.kind == "fixed":
            return self.width % seconds == 0 and self.anchor % seconds == 0
        return all(micros(self.start(key)) % (seconds * 1_000_000) == 0 for key in self.keys(start, end))


def _align(value: int, width: int, anchor: int) -> int:
    return (value - anchor) // width * width + anchor


def _aligned(value: str, width: int, anchor: int) -> str:
    if width == 1:
        return value
    if anchor == 0:
        return f"intDiv({value}, {width}) * {width}"
    return f"intDiv({value} - {anchor}, {width}) * {width} + {anchor}"


def buckets(granularity: str, start: datetime, end: datetime, tz: ZoneInfo) -> Buckets:
    """The buckets of a granularity such as ``10s``, ``1m``, ``6h``, ``1d``, ``1w``, ``1M`` or ``auto``.

    Raises
    ------
    Unprocessable
        No such granularity.
    """
    if granularity == "auto":
        granularity = _auto((end - start).total_seconds())
    match = _GRANULARITY.fullmatch(granularity)
    if match is None:
        raise Unprocessable(
            f"granularity: `{granularity[:32]}` is none; write `10s`, `1m`, `1h`, `1d`, `1w`, `1M` or `auto`.",
            field="granularity",
        )
    count, unit = int(match[1]), match[2]
    if unit == "M":
        return Buckets("months", count, tz)
    if unit in "dw":
        return Buckets("days", count * (7 if unit == "w" else 1), tz, _MONDAY if unit == "w" else 0)
    if unit == "h" and 1 < count < 24 and tz.key != "UTC":
        return Buckets("hours", count, tz)
    offset = start.astimezone(tz).utcoffset() or timedelta()
    width = count * SECONDS[unit]
    return Buckets("fixed", width, tz, -int(offset.total_seconds()) % width)


def _auto(seconds: float) -> str:
    for name in AUTO:
        width = int(name[:-1]) * SECONDS.get(name[-1], 86400 * 30)
        if seconds / width <= AUTO_BUCKETS:
            return name
    return AUTO[-1]
