"""A question in one line."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import Unprocessable
from semantic.text import parse_question


def test_everything_at_once() -> None:
    question = parse_question(
        "requests, cost_usd by model, attributes.region every 5m from now-1d/d to now "
        "where environment = production and model in (gpt-4o, 'a, \"b\"') and user_id not exists "
        "and duration_ms >= 12.5 and error_type starts with rate and name ~ '^a b$' "
        "order by cost_usd desc, model limit 7 compare in zone Europe/Berlin"
    )
    assert question.measures == ("requests", "cost_usd")
    assert question.dimensions == ("model", "attributes.region")
    assert question.granularity == "5m"
    assert (question.time.start, question.time.end) == ("now-1d/d", "now")
    assert [(item.field, item.op, item.values) for item in question.filters] == [
        ("environment", "eq", ("production",)),
        ("model", "in", ("gpt-4o", 'a, "b"')),
        ("user_id", "not_exists", ()),
        ("duration_ms", "gte", ("12.5",)),
        ("error_type", "starts_with", ("rate",)),
        ("name", "regex", ("^a b$",)),
    ]
    assert [(item.field, item.direction) for item in question.order] == [("cost_usd", "desc"), ("model", "asc")]
    assert (question.limit, question.compare, question.time_zone) == (7, "previous_period", "Europe/Berlin")


def test_the_line_of_the_contract() -> None:
    question = parse_question("latency_p95 by model last 1h")
    assert (question.measures, question.dimensions, question.time.start) == (("latency_p95",), ("model",), "now-1h")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "ends where a measure"),
        ("requests by", "ends where a dimension"),
        ("requests, by model", "where one of"),
        ("requests where", "ends where a dimension"),
        ("requests where model", "an operator"),
        ("requests where model = ,", "has `,` where a value"),
        ("requests where model in (a", "`)`"),
        ("requests order model", "`by`"),
        ("requests in Berlin", "`zone`"),
        ("requests limit many", "limit"),
        ("requests 'by' model", "where one of"),
        ("requests where model = !", "makes no sense"),
        ("reqests by model", "did you mean `requests`"),
    ],
)
def test_mistakes_are_told(text: str, says: str) -> None:
    with pytest.raises(Unprocessable) as caught:
        parse_question(text)
    assert says in caught.value.detail


WORDS = ("requests", "by", "model", ",", "where", "=", "in", "(", ")", "'x'", "limit", "last", "order", "not", "exists")


@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_never_raises_anything_else(text: str) -> None:
    with contextlib.suppress(Unprocessable):
        parse_question(text)
