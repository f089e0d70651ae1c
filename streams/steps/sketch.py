"""Quantile sketches that merge: logarithmic buckets with a relative error of at most 1%.

Bucket ``ceil(log(x) / log(γ))`` with γ = 1.01 / 0.99 holds the values in (γ^(i−1), γ^i]; the value ``2γ^i / (γ + 1)``
is within 1% of all of them.

References
----------
Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from streams.columnar import Floats, Ints, group

GAMMA: Final = 1.01 / 0.99
_LOG: Final = float(np.log(GAMMA))
#: What is smaller counts as this much: a nanosecond, where the values are milliseconds.
_LEAST: Final = 1e-6
#: Bucket numbers lie within ± this.
_REACH: Final = 1 << 13


@dataclass(frozen=True, slots=True)
class Sketch:
    """Counts of buckets of many sketches: ``owner[i]`` has ``counts[i]`` values in bucket ``buckets[i]``."""

    owner: Ints
    buckets: Ints
    counts: Ints

    def by(self, owners: Ints) -> "Sketch":
        """The same counts with ``owners[owner]`` for each owner, those of one bucket added, in order."""
        owner = owners[self.owner]
        if not len(owner):
            return self
        groups = group([owner, self.buckets + _REACH], [int(owner.max()) + 1, 2 * _REACH])
        counts = np.bincount(groups.ids, self.counts, len(groups)).astype(np.int64)
        order = np.lexsort((self.buckets[groups.firsts], owner[groups.firsts]))
        firsts = groups.firsts[order]
        return Sketch(owner[firsts], self.buckets[firsts], counts[order])


def bucket_of(values: Floats) -> Ints:
    """The bucket of every value (at least 0)."""
    return np.ceil(np.log(np.maximum(values, _LEAST)) / _LOG).astype(np.int64)


def value_of(buckets: npt.NDArray[Any]) -> Floats:
    """A value within 1% of all that a bucket holds."""
    return np.asarray(2 * np.power(GAMMA, buckets.astype(np.float64)) / (GAMMA + 1))


def quantile(buckets: npt.NDArray[Any], counts: npt.NDArray[Any], q: float) -> float:
    """The ``q`` quantile (0 to 1) of one sketch, within 1%; not a number when it is empty.

    Examples
    --------
    >>> values = np.arange(1.0, 1001.0)
    >>> sketch = Sketch(np.zeros(1000, np.int64), bucket_of(values), np.ones(1000, np.int64)).by(np.array([0]))
    >>> abs(quantile(sketch.buckets, sketch.counts, 0.95) / 950 - 1) < 0.01
    True
    """
    if not len(counts):
        return float("nan")
    order = np.argsort(buckets)
    reached = np.cumsum(counts[order])
    place = int(np.searchsorted(reached, q * (reached[-1] - 1), side="right"))
    return float(value_of(buckets[order][place : place + 1])[0])


def listed(sketch: Sketch, owners: int) -> tuple[pa.Array, pa.Array]:
    """Two list columns, buckets and counts, with one row for each owner."""
    offsets = np.searchsorted(sketch.owner, np.arange(owners + 1)).astype(np.int32)
    return (
        pa.ListArray.from_arrays(offsets, pa.array(sketch.buckets, pa.int32())),
        pa.ListArray.from_arrays(offsets, pa.array(sketch.counts, pa.int64())),
    )


def read_lists(buckets: Any, counts: Any) -> Sketch:
    """The reverse of :func:`listed`."""
    owner = np.asarray(pc.list_parent_indices(buckets)).astype(np.int64)
    return Sketch(owner, np.asarray(buckets.flatten()).astype(np.int64), np.asarray(counts.flatten()))
