"""When requests arrive: a day's and a week's rhythm, uneven windows, and bursts.

Counts in windows of ten seconds are Poisson with a Gamma-distributed rate, so their variance exceeds their mean as
it does in the Azure and ServeGen traces (a Gamma–Poisson, negative binomial, mixture).
"""

from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from hub.simulate.fitted import DAY_OF_WEEK, HOUR_OF_DAY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

WINDOW_US = 10_000_000
_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
#: 1970-01-01 was a Thursday; Monday is 0.
_EPOCH_WEEKDAY = datetime(1970, 1, 1, tzinfo=UTC).weekday()


def rhythm(at_us: Ints) -> Floats:
    """The multiplier of the rate at each time: hour of the day (interpolated) by weekday, UTC.

    Examples
    --------
    >>> week = rhythm(np.arange(0, 7 * _DAY_US, _HOUR_US))
    >>> round(float(week.mean()), 2)
    1.0
    """
    hour = (at_us % _DAY_US) / _HOUR_US
    # The figure of an hour is its mean: it belongs to the middle of the hour.
    by_hour = np.interp(hour, np.arange(24) + 0.5, HOUR_OF_DAY, period=24)
    weekday = (at_us // _DAY_US + _EPOCH_WEEKDAY) % 7
    return np.asarray(by_hour * np.asarray(DAY_OF_WEEK)[weekday], dtype=np.float64)


def mean_rhythm(start_us: int, end_us: int) -> float:
    """The mean of :func:`rhythm` over a range, so that an asked rate is the average that comes out."""
    grid = np.linspace(start_us, end_us, 2049, endpoint=False).astype(np.int64)
    return float(rhythm(grid).mean())


def arrivals(
    rng: np.random.Generator,
    start_us: int,
    end_us: int,
    per_second: Floats,
    unevenness: float,
    load_rng: np.random.Generator | None = None,
) -> tuple[Ints, Floats]:
    """Sorted arrival times in [start, end), and the load in the window of each.

    Parameters
    ----------
    rng
        Where the randomness comes from.
    start_us, end_us
        The range, microseconds.
    per_second
        Expected rate in each window of :data:`WINDOW_US` from ``start_us`` on.
    unevenness
        Variance of the Gamma multiplier (mean 1).
    load_rng
        Where the multiplier comes from: ranges within one window share it when they are given equal ones.

    Returns
    -------
    tuple
        Times in microseconds, and the multiplier of the rate that the window had (1 = an ordinary moment).
    """
    starts = np.arange(start_us, end_us, WINDOW_US)
    widths = np.minimum(WINDOW_US, end_us - starts)
    load = (load_rng or rng).gamma(1 / unevenness, unevenness, len(starts))
    counts = rng.poisson(per_second * load * widths / 1e6)
    times = np.repeat(starts, counts) + (rng.random(counts.sum()) * np.repeat(widths, counts)).astype(np.int64)
    loads = np.repeat(load, counts)
    order = np.argsort(times, kind="stable")
    return times[order], loads[order]


def window_count(start_us: int, end_us: int) -> int:
    """How many windows a range has."""
    return -(-(end_us - start_us) // WINDOW_US)
