"""How times are written: RFC 3339 with an offset, or epoch milliseconds."""

import re
from datetime import UTC, datetime, timedelta

_RFC3339 = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})[Tt ](\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d{2}):(\d{2}))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Epoch milliseconds outside 1990–2200 are seconds, microseconds or a mistake; they are told so, not guessed at.
_EARLIEST_MS, _LATEST_MS = 631_152_000_000, 7_258_118_400_000


def parse_time(value: object) -> datetime:
    """The moment that ``value`` names, UTC, cut to microseconds.

    Parameters
    ----------
    value
        RFC 3339 text with an offset (``Z`` or ``±hh:mm``), or a number of milliseconds since 1970.

    Raises
    ------
    ValueError
        Says what is wrong and what would be right.

    Examples
    --------
    >>> parse_time("2026-11-20T12:00:00.123456789+01:00").isoformat()
    '2026-11-20T11:00:00.123456+00:00'
    >>> parse_time(1763640000123).isoformat()
    '2025-11-20T12:00:00.123000+00:00'
    """
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(value)
    raise ValueError("must be RFC 3339 text with an offset, like 2026-11-20T12:00:00.123Z, or epoch milliseconds")


def _from_text(text: str) -> datetime:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError("must be RFC 3339 with an offset, like 2026-11-20T12:00:00.123Z")
    year, month, day, hour, minute, second, fraction, sign, off_hour, off_minute = match.groups()
    micro = int((fraction or "").ljust(6, "0")[:6] or 0)
    try:
        local = datetime(  # a leap second is the last moment of its minute
            int(year), int(month), int(day), int(hour), int(minute), min(int(second), 59), micro, tzinfo=UTC
        )
        if sign is None:
            return local
        if int(off_hour) > 23 or int(off_minute) > 59:
            raise ValueError("offset out of range")  # noqa: TRY301 - joins the reasons that datetime gives
        offset = timedelta(hours=int(off_hour), minutes=int(off_minute))
        return local - offset if sign == "+" else local + offset
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is no such time: {error}") from None


def _from_epoch(value: int | float) -> datetime:  # noqa: PYI041 - whole numbers are exact, others are rounded
    if not _EARLIEST_MS <= value <= _LATEST_MS:
        raise ValueError("as a number must be milliseconds since 1970 (13 digits), not seconds or nanoseconds")
    microseconds = value * 1000 if isinstance(value, int) else round(value * 1000)
    return _EPOCH + timedelta(microseconds=microseconds)
