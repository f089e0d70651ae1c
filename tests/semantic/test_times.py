"""Moments and buckets, over time zones and changes of the clock."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unprocessable
from semantic.buckets import Buckets, buckets
from semantic.compile import compile_question
from semantic.layer import SemanticLayer
from semantic.question import Question
from semantic.times import parse_moment
from storage.warehouse.client import Warehouse

NOW = datetime(2026, 11, 18, 12, 34, 56, 789000, tzinfo=UTC)  # a Wednesday
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "zone", "wanted"),
    [
        ("now", "UTC", "2026-11-18T12:34:56.789+00:00"),
        ("now-90s", "UTC", "2026-11-18T12:33:26.789+00:00"),
        ("now+1h", "UTC", "2026-11-18T13:34:56.789+00:00"),
        ("now/m", "UTC", "2026-11-18T12:34:00+00:00"),
        ("now/h", "UTC", "2026-11-18T12:00:00+00:00"),
        ("now/d", "Europe/Berlin", "2026-11-17T23:00:00+00:00"),
        ("now/w", "UTC", "2026-11-16T00:00:00+00:00"),
        ("now/M", "Europe/Berlin", "2026-10-31T23:00:00+00:00"),
        ("now/y", "UTC", "2026-01-01T00:00:00+00:00"),
        ("now-1M/M", "Europe/Berlin", "2026-09-30T22:00:00+00:00"),
        ("now-9M", "UTC", "2026-02-18T12:34:56.789+00:00"),
        ("now-30d/d", "Europe/Berlin", "2026-10-18T22:00:00+00:00"),
        ("2026-11-18", "Europe/Berlin", "2026-11-17T23:00:00+00:00"),
        ("2026-11-18T01:00:00", "Europe/Berlin", "2026-11-18T00:00:00+00:00"),
        ("2026-11-18T01:00:00+05:30", "Europe/Berlin", "2026-11-17T19:30:00+00:00"),
        ("1763640000123", "UTC", "2025-11-20T12:00:00.123+00:00"),
        (1763640000123, "UTC", "2025-11-20T12:00:00.123+00:00"),
    ],
)
def test_moments(text: str | int, zone: str, wanted: str) -> None:
    assert parse_moment(text, NOW, ZoneInfo(zone), "time.from") == datetime.fromisoformat(wanted)


def test_the_last_day_of_a_shorter_month() -> None:
    last = datetime(2026, 3, 31, tzinfo=UTC)
    assert parse_moment("now-1M", last, ZoneInfo("UTC"), "x") == datetime(2026, 2, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["", "now-", "now-1x", "now/q", "yesterday", "12", "1763640000", "now-999999999d", 1e13]
)
def test_no_moments(text: str | float) -> None:
    with pytest.raises(Unprocessable):
        parse_moment(text, NOW, ZoneInfo("UTC"), "time.from")


def starts(granularity: str, start: str, end: str, tz: str) -> list[str]:
    zone = ZoneInfo(tz)
    since, until = (datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC) for text in (start, end))
    grid = buckets(granularity, since, until, zone)
    return [grid.start(key).astimezone(zone).isoformat() for key in grid.keys(since, until)]


def test_days_over_a_change_of_the_clock() -> None:
    assert starts("1d", "2026-03-28", "2026-03-31", "Europe/Berlin") == [
        "2026-03-28T00:00:00+01:00",
        "2026-03-29T00:00:00+01:00",
        "2026-03-30T00:00:00+02:00",
    ]


def test_hours_over_a_change_of_the_clock() -> None:
    assert starts("6h", "2026-03-28T18:00", "2026-03-29T13:00", "Europe/Berlin") == [
        "2026-03-28T18:00:00+01:00",
        "2026-03-29T00:00:00+01:00",
        "2026-03-29T06:00:00+02:00",
        "2026-03-29T12:00:00+02:00",
    ]
    assert len(starts("1h", "2026-10-25", "2026-10-26", "Europe/Berlin")) == 25
    assert starts("1h", "2026-11-18", "2026-11-18T02:00", "Asia/Kolkata") == [
        "2026-11-18T00:00:00+05:30",
        "2026-11-18T01:00:00+05:30",
    ]
    assert starts("7h", "2026-11-18", "2026-11-19T01:00", "Asia/Kolkata")[-2:] == [
        "2026-11-18T21:00:00+05:30",
        "2026-11-19T00:00:00+05:30",
    ]


def test_weeks_and_months() -> None:
    assert starts("1w", "2026-11-18", "2026-11-24", "UTC") == ["2026-11-16T00:00:00+00:00", "2026-11-23T00:00:00+00:00"]
    assert starts("3M", "2026-02-01", "2026-04-02", "UTC") == ["2026-01-01T00:00:00+00:00", "2026-04-01T00:00:00+00:00"]


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia"])
WIDTHS = st.sampled_from(["1s", "10s", "7m", "1h", "2h", "5h", "6h", "1d", "3d", "1w", "2w", "1M", "3M"])
STARTS = st.integers(0, 10 * 365 * 86400 * 10**6).map(lambda past: NOW - timedelta(microseconds=past))
SPANS = st.tuples(STARTS, st.integers(1, 2 * 86400 * 10**6))


@given(zone=ZONES, width=WIDTHS, span=SPANS)
def test_every_moment_lies_in_its_bucket(zone: str, width: str, span: tuple[datetime, int]) -> None:
    start = span[0]
    end = start + timedelta(microseconds=min(span[1], 10**9))
    grid = buckets(width, start, end, ZoneInfo(zone))
    keys = list(grid.keys(start, end))
    assert len(keys) <= grid.count(start, end)
    for moment in (start, end - timedelta(microseconds=1)):
        key = grid.key(moment)
        assert key in keys
        assert grid.start(key) <= moment


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kolkata", "America/St_Johns"])
@pytest.mark.parametrize("width", ["1s", "7m", "1h", "5h", "6h", "1d", "3d", "1w", "1M", "3M"])
def test_the_engine_computes_the_same_key(warehouse: Warehouse, zone: str, width: str) -> None:
    start = datetime(2026, 3, 27, 22, 15, 30, tzinfo=UTC)
    end = start + timedelta(days=3)
    grid: Buckets = buckets(width, start, end, ZoneInfo(zone))
    times = [start + timedelta(seconds=997 * step, microseconds=step) for step in range(260)]
    sql = grid.sql("m", "{zone:String}")
    parameters = {"times": [int(moment.timestamp() * 1e6) for moment in times]} | (
        {"zone": zone} if "{zone" in sql else {}
    )
    moments = "SELECT fromUnixTimestamp64Micro(arrayJoin({times:Array(Int64)}), 'UTC') AS m"
    rows = warehouse.query(f"SELECT toInt64({sql}) FROM ({moments})", parameters).rows
    assert [row[0] for row in rows] == [grid.key(moment) for moment in times]


async def test_answers_in_a_zone(layer: SemanticLayer) -> None:
    question = {"measures": ["events"], "granularity": "1d", "time": {"from": "now-2d/d"}, "time_zone": "Europe/Berlin"}
    answer = await layer.ask("acme", Question.model_validate(question))
    assert [row[0] for row in answer.rows] == [
        "2026-11-18T00:00:00+01:00",
        "2026-11-19T00:00:00+01:00",
        "2026-11-20T00:00:00+01:00",
    ]


def test_unknown_granularity() -> None:
    with pytest.raises(Unprocessable):
        compile_question(
            Question.model_validate({"measures": ["events"], "granularity": "0s"}),
            "acme",
            NOW,
            [None],  # type: ignore[list-item]
        )
