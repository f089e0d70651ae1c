"""The SQL of questions: values never in the text, the tenant always first, the cheapest source that can answer."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Unprocessable
from semantic.compile import Compiled, compile_question
from semantic.question import Question
from semantic.sources import Segment, cover, warehouse_sources
from storage.warehouse.roller import Level
from tests.semantic.rows import NOW

SOURCES = warehouse_sources()


def compiled(tenant: str = "acme", **given_: Any) -> Compiled:
    return compile_question(Question.model_validate({"measures": ["requests"]} | given_), tenant, NOW, SOURCES)


def shaped(text: str, number: float, tenant: str) -> Compiled:
    return compiled(
        tenant,
        measures=["requests", "latency_p95"],
        dimensions=["model", f"attributes.{text}x"],
        granularity="5m",
        filters=[
            {"field": "model", "op": "in", "values": [text, text + "y"]},
            {"field": "user_id", "op": "contains", "values": [text]},
            {"field": f"attributes.{text}z", "op": "ne", "values": [text]},
            {"field": f"attributes.{text}w", "op": "exists"},
            {"field": "judge_model", "op": "regex", "values": [text]},
            {"field": "duration_ms", "op": "gt", "values": [number]},
            {"field": "session_id", "op": "starts_with", "values": [text]},
        ],
        limit=7,
        order=[{"field": f"attributes.{text}x"}],
    )


ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=100)


@settings(max_examples=150, deadline=None)
@given(text=ANY, number=st.floats(allow_nan=False, allow_infinity=False), tenant=st.text(min_size=1, max_size=40))
def test_values_are_never_in_the_text(text: str, number: float, tenant: str) -> None:
    plain = shaped("", 0, "t")
    found = shaped(text, number, tenant)
    assert found.sql == plain.sql
    assert found.parameters.keys() == plain.parameters.keys()
    assert tenant in found.parameters.values()
    assert found.sql.isascii()
    placeholders = set(re.findall(r"\{(p\d+):[A-Za-z0-9()]+\}", found.sql))
    assert placeholders == found.parameters.keys()


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"dimensions": ["user_id"], "limit": 3, "granularity": "1h", "time": {"from": "now-3d"}},
        {"measures": ["users", "cost_usd"], "time": {"from": "now-30d"}},
        {"measures": ["events"], "time": {"from": "now", "to": "now"}},
    ],
)
def test_the_tenant_comes_first_wherever_a_table_is_read(given_: dict[str, Any]) -> None:
    sql = compiled(**given_).sql
    # how far a rollup reaches is no tenant's
    sql = re.sub(r"\(SELECT max\(through\) FROM \w+ WHERE tenant = '' AND time = toDateTime\(\d+, 'UTC'\)\)", "0", sql)
    reads = re.findall(r"FROM (\w+) WHERE (.{20})", sql)
    assert reads
    assert all(where == "tenant = {p0:String}" for _, where in reads)
    assert len(re.findall(r"FROM \w", sql)) == len(reads)


@pytest.mark.parametrize(
    ("given_", "source"),
    [
        ({"time": {"from": "now-30d/d", "to": "now/d"}, "granularity": "1d"}, "rollup_total_1h"),
        ({"time": {"from": "now-2h/h", "to": "now/h"}, "granularity": "1m"}, "rollup_models_1m"),
        ({"time": {"from": "now-2h/h", "to": "now/h"}, "dimensions": ["project"], "granularity": "1m"}, "rollup_1m"),
        ({"time": {"from": "now-20d/h", "to": "now-19d/h"}, "granularity": "1m"}, "rollup_1m"),
        ({"time": {"from": "now-2h/h", "to": "now/h"}, "granularity": "90s"}, "rollup_10s"),
        ({"time": {"from": "now-5d/h", "to": "now/h"}, "granularity": "90s"}, "rollup_10s+events"),
        ({"time": {"from": "now-2h/h", "to": "now/h"}, "granularity": "7s"}, "events"),
        ({"time": {"from": "now-30d/d", "to": "now/d"}, "dimensions": ["tool_name"]}, "rollup_6h"),
        ({"time": {"from": "now-7d/d", "to": "now-1h/h"}, "dimensions": ["project"]}, "rollup_6h+rollup_1h"),
        ({"time": {"from": "now-49h/h", "to": "now-44h/h"}, "dimensions": ["project"]}, "rollup_1h"),
        ({"time": {"from": "now-7d/d", "to": "now/d"}, "dimensions": ["model"]}, "rollup_models_1h"),
        ({"time": {"from": "now-7d/d", "to": "now/d"}, "dimensions": ["user_id"]}, "rollup_users_1d"),
        ({"time": {"from": "now-7d/d", "to": "now/d"}, "dimensions": ["user_id", "model"]}, "rollup_users_models_1d"),
        ({"time": {"from": "now-30d/d", "to": "now/d"}, "dimensions": ["attributes.x"]}, "events"),
        ({"time": {"from": "now-30d/d", "to": "now/d"}, "measures": ["retrieval_hit_rate"]}, "events"),
        ({"time": {"from": "now-2h/h", "to": "now/h"}, "measures": ["users"], "granularity": "1m"}, "events"),
        ({"time": {"from": "now-2h/h", "to": "now/h"}, "measures": ["users"], "granularity": "1h"}, "rollup_total_1h"),
        (
            {"time": {"from": "now-2d/d", "to": "now/d"}, "granularity": "1d", "time_zone": "Asia/Kolkata"},
            "rollup_models_1m",
        ),
        (
            {"time": {"from": "now-2d/d", "to": "now/d"}, "granularity": "1d", "time_zone": "Europe/Berlin"},
            "rollup_total_1h",
        ),
        ({"time": {"from": "now", "to": "now"}}, "none"),
    ],
)
def test_sources(given_: dict[str, Any], source: str) -> None:
    assert compiled(**given_).source == source


def test_a_rollup_that_is_being_filled_is_not_read() -> None:
    asked = Question.model_validate(
        {
            "measures": ["requests"],
            "dimensions": ["user_id", "model"],
            "time": {"from": "now-30d/d", "to": "now/d"},
        }
    )
    sources = ["rollup_users_models_1d", "rollup_users_models_1h", "events"]
    for number, source in enumerate(sources):
        level = Level(None, lagging=frozenset(sources[:number]))
        assert compile_question(asked, "acme", NOW, SOURCES, level=level).source == source


MOMENTS = st.integers(0, 40 * 86400 * 10**6).map(lambda back: NOW - timedelta(microseconds=back))


@given(start=MOMENTS, end=MOMENTS)
def test_segments_cover_the_range_exactly(start: datetime, end: datetime) -> None:
    segments: list[Segment] = cover(start, end, SOURCES, NOW)
    edges = [edge for segment in segments for edge in (segment.start, segment.end)]
    assert edges == sorted(edges)
    if start < end:
        assert (edges[0], edges[-1]) == (start, end)
        assert edges[1:-1:2] == edges[2::2]
    for segment in segments:
        assert segment.start < segment.end
        width = segment.source.seconds
        if width:
            assert segment.start.timestamp() % width == segment.end.timestamp() % width == 0
        if segment.source.lifetime is not None:
            assert segment.start >= NOW - segment.source.lifetime


def test_limits() -> None:
    for given_ in (
        {"time": {"from": "now-30d"}, "granularity": "1s"},
        {"time": {"from": "now-11y"}},
        {"time": {"from": "now", "to": "now-1s"}},
        {"filters": [{"field": "model", "op": "regex", "values": ["a" * 257]}]},
        {"filters": [{"field": "model", "op": "eq", "values": ["a" * 5000]}]},
        {"filters": [{"field": "trace_id", "op": "gt", "values": ["0" * 32]}]},
        {"filters": [{"field": "duration_ms", "op": "gt", "values": [None]}]},
        {"filters": [{"field": "cache_hit", "op": "eq", "values": ["perhaps"]}]},
        {"filters": [{"field": "time", "op": "gt", "values": ["now-1h"]}]},
        {"filters": [{"field": "duration_ms", "op": "eq", "values": ["inf"]}]},
    ):
        with pytest.raises(Unprocessable):
            compiled(**given_)


def test_no_moment_is_in_two_buckets() -> None:
    assert compiled(granularity="auto", time={"from": datetime(2026, 1, 1, tzinfo=UTC).isoformat()}).buckets is not None
