"""Arithmetic of metric points."""

import math
import sys
from collections.abc import Sequence
from typing import Any

from ingest.otlp.records import Unreadable

Buckets = tuple[int, Sequence[int]]

#: As many buckets as an event's arrays may have items.
MOST_BUCKETS = 10_000


def exponential_bounds(scale: int, zeros: int, negative: Buckets, positive: Buckets) -> tuple[list[float], list[float]]:
    """An exponential histogram as upper bounds and counts.

    Bucket *i* of an offset holds (b^(offset+i), b^(offset+i+1)] with b = 2^(2^-scale), the negative ones mirrored.

    Raises
    ------
    Unreadable
        A scale that no histogram has, or too many buckets.

    Examples
    --------
    >>> exponential_bounds(0, 1, (0, ()), (1, (0, 2)))
    ([2.0, 4.0, 8.0], [1, 0, 2, 0])
    """
    if not -10 <= scale <= 20:
        raise Unreadable("scale", "must be from -10 to 20")
    checked_buckets(len(negative[1]) + len(positive[1]))
    bounds: list[float] = []
    counts: list[float] = []
    if negative[1]:
        offset, numbers = negative
        bounds += [-_power(scale, offset + place) for place in range(len(numbers), -1, -1)]
        counts += [0, *reversed(numbers)]
    counts.append(zeros)
    if positive[1]:
        offset, numbers = positive
        bounds += [_power(scale, offset + place) for place in range(len(numbers) + 1)]
        counts += [*numbers, 0]
    return bounds, counts


def checked_buckets(count: int) -> None:
    """Raise :class:`Unreadable` for a histogram with more buckets than are kept."""
    if count > MOST_BUCKETS:
        raise Unreadable("bucketCounts", f"must have at most {MOST_BUCKETS} items")


def checked_point(value: float | None, details: dict[str, Any]) -> None:
    """Raise :class:`Unreadable` for a point without a number; what else is not finite is left out of ``details``."""
    if value is None or not math.isfinite(value):
        raise Unreadable("value", "is required, and must be a finite number")
    for name in ("bounds", "bucket_counts"):
        if not all(map(math.isfinite, details.get(name, ()))):
            raise Unreadable(name, "must be finite numbers")
    for name in [name for name, found in details.items() if isinstance(found, float) and not math.isfinite(found)]:
        del details[name]


def _power(scale: int, index: int) -> float:
    exponent = index * 2.0**-scale
    return 2.0**exponent if -1074 <= exponent < 1024 else sys.float_info.max if exponent > 0 else 0.0
