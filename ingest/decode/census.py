"""Counting what a JSON text must hold, without parsing it: the proof that a parser lost nothing.

In valid JSON every key closes with ``":``, and nothing else has these two bytes but a text that *begins* with a colon.
So the number of ``":`` less the keys whose value is null is at least the number of values; when a parser found as many
values as that, no key was unknown to it, came twice, or lost its value. The number of quotes then shows that no number
became text, and the number of opening brackets after keys that no object or array did.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

#: Bytes looked at in one go: what is compared stays in the processor's cache.
_CHUNK: Final = 64 << 10
_QUOTE, _COLON, _SPACE, _N, _BRACE, _BRACKET = b'": n{['
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_PAIR: Final = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class Census:
    """Counts over a text of JSON values.

    Parameters
    ----------
    quotes
        Quotes that open or close a text.
    keys
        ``":``: all keys, and texts that begin with a colon.
    nulls
        Of them, those whose value is null.
    containers
        Of them, those whose value is an object or an array.
    doubtful
        The counts cannot be trusted: white space before a colon or sometimes after it, or half a surrogate pair.
    """

    quotes: int
    keys: int
    nulls: int
    containers: int
    doubtful: bool


def census(text: bytes, spaced: bool | None = None) -> Census:
    """Count. Anything unusual only ever makes the proof fail, never succeed.

    Parameters
    ----------
    text
        JSON values with anything in between.
    spaced
        Whether there is one space after each key's colon; None: find out.
    """
    doubtful = False
    if b"\\" in text:
        text = text.replace(b"\\\\", b"__")
        doubtful = _half_surrogates(text)
        text = text.replace(b'\\"', b"__")
    if spaced is None:
        spaced = b'": ' in text[:400]
    array = np.frombuffer(text + b"    ", np.uint8)
    counts = np.zeros(6, np.int64)
    quote, other, key = np.empty(_CHUNK, np.bool_), np.empty(_CHUNK, np.bool_), np.empty(_CHUNK, np.bool_)
    for start in range(0, len(text), _CHUNK):
        size = min(_CHUNK, len(text) - start)
        _count(array[start : start + size + 4], counts, spaced, quote[:size], other[:size], key[:size])
    quotes, keys, nulls, containers, gaps, after_space = (int(count) for count in counts)
    doubtful = doubtful or after_space != (keys if spaced else 0) or bool(gaps and _space_before_colon(array))
    return Census(quotes, keys, nulls, containers, doubtful)


_Mask = npt.NDArray[np.bool_]


def _count(
    array: npt.NDArray[np.uint8], counts: npt.NDArray[np.int64], spaced: bool, quote: _Mask, other: _Mask, key: _Mask
) -> None:
    size = len(quote)
    np.equal(array[:size], _QUOTE, out=quote)
    counts[0] += np.count_nonzero(quote)
    after = array[1 : size + 1]
    np.less_equal(after, _SPACE, out=other)
    np.logical_and(other, quote, out=other)
    counts[4] += np.count_nonzero(other)
    np.equal(after, _COLON, out=key)
    np.logical_and(key, quote, out=key)
    counts[1] += np.count_nonzero(key)
    value = array[2 : size + 2]
    np.equal(value, _SPACE, out=other)
    np.logical_and(key, other, out=other)
    counts[5] += np.count_nonzero(other)
    if spaced:
        value = array[3 : size + 3]
    for place, first in ((2, _N), (3, _BRACE), (3, _BRACKET)):
        np.equal(value, first, out=other)
        np.logical_and(other, key, out=other)
        counts[place] += np.count_nonzero(other)


def _half_surrogates(text: bytes) -> bool:
    """Parsers disagree about half a surrogate pair; ``text`` has no escaped backslashes any more."""
    halves = len(_SURROGATE.findall(text))
    return bool(halves) and halves != 2 * len(_PAIR.findall(text))


def _space_before_colon(array: npt.NDArray[np.uint8]) -> bool:
    """Whether white space and then a colon (or more white space) comes after a quote."""
    at = np.flatnonzero((array[:-2] == _QUOTE) & (array[1:-1] <= _SPACE))
    following = array[at + 2]
    return bool(np.any((following == _COLON) | (following <= _SPACE)))
