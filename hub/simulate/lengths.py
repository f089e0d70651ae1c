"""Token lengths with the marginals of a real trace and a chosen correlation of prompt and completion."""

from functools import cache
from statistics import NormalDist

import numpy as np

from hub.simulate.arrivals import Floats, Ints
from hub.simulate.fitted import PROBABILITIES, TokenLengths


@cache
def _knots(values: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Knots of the transform from a standard normal to the logarithm of a length."""
    normal = NormalDist()
    z = np.array([normal.inv_cdf(p) for p in PROBABILITIES])
    return z, np.log(np.maximum(values, 1))


def _lengths(z: Floats, values: tuple[int, ...]) -> Ints:
    at, logs = _knots(values)
    return np.maximum(1, np.rint(np.exp(np.interp(z, at, logs)))).astype(np.int64)


def token_lengths(rng: np.random.Generator, count: int, lengths: TokenLengths, correlation: float) -> tuple[Ints, Ints]:
    """Prompt and completion lengths of ``count`` requests.

    A Gaussian copula: two normals with the given correlation, each sent through the trace's quantiles, so that the
    marginals stay those of the trace whatever the correlation is.
    """
    first = rng.standard_normal(count)
    second = correlation * first + np.sqrt(1 - correlation**2) * rng.standard_normal(count)
    return _lengths(first, lengths.input_knots), _lengths(second, lengths.output_knots)
