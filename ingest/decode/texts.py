"""Columns of text → ids and times, all rows in step. What is written in an unusual way is left to the row path."""

import binascii
from contextlib import suppress
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Micros = npt.NDArray[np.int64]

_HEX: Final = np.full(256, 255, np.uint8)
for _digit, _value in [*((f"{v:x}", v) for v in range(16)), *((f"{v:X}", v) for v in range(16))]:
    _HEX[ord(_digit)] = _value

#: Places of the 32 digits and of the 4 hyphens in a UUID's 36 characters.
_HYPHENS: Final = np.array([8, 13, 18, 23])
_DIGITS: Final = np.array([place for place in range(36) if place not in (8, 13, 18, 23)])
_UUID: Final = 36
_UTC: Final = pa.timestamp("us", "UTC")


class Texts:
    """The bytes of a column of text, to be looked at as matrices.

    Parameters
    ----------
    array
        A ``string`` or ``large_string`` array of one chunk.
    valid
        Which rows have a text.
    """

    def __init__(self, array: pa.Array, valid: Mask) -> None:
        self.array = array
        self.valid = valid
        _, offsets, data = array.buffers()
        width = np.int64 if pa.types.is_large_string(array.type) else np.int32
        self.offsets: npt.NDArray[Any] = np.frombuffer(offsets, width)[array.offset : array.offset + len(array) + 1]
        self.lengths: npt.NDArray[Any] = np.subtract(self.offsets[1:], self.offsets[:-1])
        self.data = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)

    def width(self) -> int:
        """How long the texts are if every row has one and all are equally long, else 0."""
        if not len(self.lengths) or self.lengths.min() != self.lengths[0] or self.lengths.max() != self.lengths[0]:
            return 0
        return int(self.lengths[0]) if self.valid.all() else 0

    def matrix(self, rows: npt.NDArray[np.int64], width: int) -> Bytes:
        """The texts of rows that are all ``width`` bytes long, one a line."""
        if len(rows) == len(self.lengths):  # all rows, one after the other
            start = int(self.offsets[0])
            return self.data[start : start + len(rows) * width].reshape(len(rows), width)
        gathered: Bytes = self.data[self.offsets[rows][:, None] + np.arange(width)]
        return gathered


def hex_ids(texts: Texts, digits: int) -> tuple[Bytes, Mask]:
    """Ids of hex digits.

    Returns
    -------
    tuple
        uint8 of shape (n, digits / 2), zero where there is none, and which rows were read.
    """
    return _hex(texts, digits, None)


def uuids(texts: Texts) -> tuple[Bytes, Mask]:
    """UUIDs with their hyphens, as :func:`hex_ids`."""
    return _hex(texts, _UUID, _DIGITS)


def _hex(texts: Texts, width: int, places: npt.NDArray[np.int64] | None) -> tuple[Bytes, Mask]:
    good = texts.valid & (texts.lengths == width)
    rows = np.flatnonzero(good)
    matrix = texts.matrix(rows, width)
    out = np.zeros((len(good), (width if places is None else len(places)) // 2), np.uint8)
    if places is None or (matrix[:, _HYPHENS] == ord("-")).all():
        with suppress(binascii.Error):
            read = binascii.unhexlify((matrix if places is None else matrix[:, places]).tobytes())
            out[rows] = np.frombuffer(read, np.uint8).reshape(len(rows), out.shape[1])
            return out, good
    digits = _HEX[matrix if places is None else matrix[:, places]]
    fine = digits.max(axis=1, initial=0) < 16
    if places is not None:
        fine &= (matrix[:, _HYPHENS] == ord("-")).all(axis=1)
    out[rows] = digits[:, 0::2] << 4 | digits[:, 1::2]
    good[rows] = fine
    return out, good


def times(texts: Texts) -> tuple[Micros, Mask]:
    """RFC 3339 times with ``Z`` or an offset, as microseconds since 1970, and which rows were read.

    Read are ``YYYY-MM-DDTHH:MM:SS``, with three, six or nine digits of a fraction or none, in years 1970 to 2199.
    """
    if (all_of_them := _usual_times(texts)) is not None:
        return all_of_them, texts.valid
    micros = np.zeros(len(texts.valid), np.int64)
    good = np.zeros(len(texts.valid), np.bool_)
    for zone in (1, 6):
        for fraction in (0, 4, 7, 10):
            width = 19 + fraction + zone
            rows = np.flatnonzero(texts.valid & (texts.lengths == width))
            if len(rows):
                micros[rows], good[rows] = _times(texts.matrix(rows, width), fraction, zone)
    return micros, good


def _usual_times(texts: Texts) -> Micros | None:
    """Times that all have three or six digits of a fraction and end with ``Z``; None when one of them is no such time.

    Arrow reads more forms than the row path, but none that looks like these.
    """
    width = texts.width()
    if width not in (24, 27):
        return None
    text = texts.matrix(np.arange(len(texts.lengths)), width)
    if not ((text[:, 19] == ord(".")) & (text[:, -1] == ord("Z"))).all():
        return None
    try:
        micros: Micros = texts.array.cast(_UTC).cast(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    return micros


def _times(text: Bytes, fraction: int, zone: int) -> tuple[Micros, Mask]:
    good = (text[:, [4, 7]] == ord("-")).all(axis=1) & (text[:, [13, 16]] == ord(":")).all(axis=1)
    good &= (text[:, 10] == ord("T")) | (text[:, 10] == ord(" "))
    year, month, day = _number(text, 0, 4, good), _number(text, 5, 2, good), _number(text, 8, 2, good)
    hour, minute, second = _number(text, 11, 2, good), _number(text, 14, 2, good), _number(text, 17, 2, good)
    good &= (year >= 1970) & (year < 2200) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 28 + 3 * (month != 2))
    good &= (hour < 24) & (minute < 60) & (second < 60)
    good &= (day <= 30) | np.isin(month, (1, 3, 5, 7, 8, 10, 12))
    micros = (((_days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second) * 1_000_000
    if fraction:
        good &= text[:, 19] == ord(".")
        micros += _number(text, 20, min(fraction - 1, 6), good) * (1000 if fraction == 4 else 1)
        if fraction > 7:
            _number(text, 26, fraction - 7, good)
    return micros - _offset(text, 19 + fraction, zone, good), good


def _offset(text: Bytes, at: int, zone: int, good: Mask) -> Micros:
    """Microseconds ahead of UTC."""
    if zone == 1:
        good &= text[:, at] == ord("Z")
        return np.zeros(len(text), np.int64)
    ahead, behind = text[:, at] == ord("+"), text[:, at] == ord("-")
    hours, minutes = _number(text, at + 1, 2, good), _number(text, at + 4, 2, good)
    good &= (ahead | behind) & (text[:, at + 3] == ord(":")) & (hours < 24) & (minutes < 60)
    ahead_of_utc: Micros = np.where(behind, -1, 1) * (hours * 60 + minutes) * 60_000_000
    return ahead_of_utc


def _number(text: Bytes, at: int, digits: int, good: Mask) -> Micros:
    value = np.zeros(len(text), np.int64)
    for place in range(at, at + digits):
        digit = text[:, place] - ord("0")  # what is below "0" wraps round to more than 9
        good &= digit <= 9
        value = value * 10 + digit
    return value


def _days(year: Any, month: Any, day: Any) -> Micros:
    """Days since 1970 of a date of the Gregorian calendar (Hinnant, *chrono-compatible low-level date algorithms*)."""
    shifted = year - (month <= 2)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month + np.where(month > 2, -3, 9)) + 2) // 5 + day - 1
    days: Micros = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    return days
