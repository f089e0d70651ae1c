"""How times may be written."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.times import parse_time

MOMENT = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T12:00:00.123456Z",
        "2026-11-20t12:00:00.123456z",
        "2026-11-20 12:00:00.123456Z",
        "2026-11-20T12:00:00.123456789Z",
        "2026-11-20T13:30:00.123456+01:30",
        "2026-11-20T09:00:00.123456-03:00",
    ],
)
def test_ways_of_writing_a_moment(text: str) -> None:
    assert parse_time(text) == MOMENT


def test_a_leap_second_is_the_last_second_of_its_minute() -> None:
    assert parse_time("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("2026-11-20T12:00:00", "with an offset"),
        ("2026-11-20", "RFC 3339"),
        ("yesterday", "RFC 3339"),
        ("2026-13-20T12:00:00Z", "no such time"),
        ("2026-02-30T12:00:00Z", "no such time"),
        ("2026-11-20T12:00:00+25:00", "no such time"),
        ("0001-01-01T00:00:00+01:00", "no such time"),
        ("٢٠٢٦-11-20T12:00:00Z", "RFC 3339"),
        (1763640000, "13 digits"),
        (1763640000123456, "13 digits"),
        (float("nan"), "13 digits"),
        (True, "RFC 3339"),
        (None, "RFC 3339"),
        ({}, "RFC 3339"),
    ],
)
def test_what_is_no_time_says_what_would_be(value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_time(value)


@given(st.integers(662_688_000_000_000, 7_226_582_400_000_000))
def test_every_moment_comes_back(microseconds: int) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    assert parse_time(moment.isoformat()) == moment
    milliseconds = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert (
        parse_time(int((milliseconds - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))) == milliseconds
    )


@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.lists(st.integers())))
def test_anything_else_is_a_value_error(value: object) -> None:
    with suppress(ValueError):
        assert parse_time(value).tzinfo is UTC
