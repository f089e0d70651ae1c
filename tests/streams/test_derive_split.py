"""Derived columns, and the two tables that the warehouse takes."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from schemas.columns import EVENT_COLUMNS
from streams.prices.table import PriceTable
from streams.steps.derive import derive, error_class
from streams.steps.price import price
from streams.steps.split import EVENTS_SCHEMA, split
from tests.streams.blocks import START, make_record, make_table


def _derived(*rows: dict[str, Any]) -> list[dict[str, Any]]:
    return derive(make_table(rows), lambda *_: timedelta(days=90)).to_pylist()


@pytest.mark.parametrize(
    ("error_type", "status", "kind"),
    [
        ("rate_limit", None, "rate_limit"),
        ("RateLimitError", 400, "rate_limit"),
        ("insufficient_quota", 429, "quota"),
        ("APITimeoutError", None, "timeout"),
        ("content_filter", 400, "content_filter"),
        ("ContentPolicyViolation", None, "content_filter"),
        ("AuthenticationError", None, "auth"),
        ("cancelled", None, "cancelled"),
        ("APIConnectionError", None, "network"),
        ("context_length_exceeded", None, "client"),
        ("InternalServerError", None, "server"),
        ("overloaded_error", 529, "server"),
        ("oops", None, "other"),
        (None, None, "other"),
        (None, 200, "other"),
        (None, 400, "client"),
        (None, 401, "auth"),
        (None, 402, "quota"),
        (None, 408, "timeout"),
        (None, 429, "rate_limit"),
        (None, 499, "cancelled"),
        (None, 500, "server"),
        (None, 504, "timeout"),
        ("oops", 503, "server"),
    ],
)
def test_error_class(error_type: str | None, status: int | None, kind: str) -> None:
    assert error_class(error_type, status) == kind
    row = {"status": "error", "error_type": error_type, "http_status_code": status}
    (_, failed) = _derived({"status": "ok"}, row)
    assert failed["error_class"] == kind


def test_good_events_have_no_error_class() -> None:
    assert "error_class" not in _derived({"status": "ok", "error_type": "odd"})[0]
    assert _derived({"status": "ok"}, {"status": "error"})[0]["error_class"] is None


def test_status_is_ok_by_default_for_types_that_have_one() -> None:
    rows = _derived({}, {"type": "span", "status": "error"}, {"type": "log.record"}, {"type": "own.type"})
    assert [row["status"] for row in rows] == ["ok", "error", None, None]


@pytest.mark.parametrize(
    ("row", "speed"),
    [
        ({"output_tokens": 100, "duration_ms": 1200.0, "time_to_first_token_ms": 200.0}, 100.0),
        ({"output_tokens": 100, "duration_ms": 1000.0}, 100.0),
        ({"output_tokens": 0, "duration_ms": 1000.0}, None),
        ({"output_tokens": 9, "duration_ms": 100.0, "time_to_first_token_ms": 100.0}, None),
        ({"output_tokens": 9}, None),
        ({"duration_ms": 100.0}, None),
    ],
)
def test_tokens_per_second(row: dict[str, Any], speed: float | None) -> None:
    other = {"output_tokens": 1, "duration_ms": 1.0}
    assert _derived(row, other)[0]["tokens_per_second"] == speed


def test_expiry_counts_from_the_time_of_the_event() -> None:
    table = make_table([{"tenant": "short"}, {"tenant": "long", "time": START}])
    keep = {"short": timedelta(days=1), "long": timedelta(days=10_000_000)}
    first, second = derive(table, lambda tenant, _: keep[tenant]).to_pylist()
    assert first["expires_at"] - first["time"] == timedelta(days=1)
    assert second["expires_at"].year == 2106


def test_contents_have_an_expiry_of_their_own() -> None:
    rows = [{"tenant": "a", "body": "{}"}, {"tenant": "b", "body": "{}"}, {"tenant": "b"}]
    days = {("a", "events"): 9, ("a", "payloads"): 2, ("b", "events"): 8, ("b", "payloads"): 8}
    tables = split(derive(make_table(rows), lambda *which: timedelta(days=days[which])))
    assert tables.payloads is not None
    kept = [
        [(row["tenant"], (row["expires_at"] - row["time"].replace(microsecond=0)).days) for row in table.to_pylist()]
        for table in (tables.events, tables.payloads)
    ]
    assert kept == [[("a", 9), ("b", 8), ("b", 8)], [("a", 2), ("b", 8)]]


def test_empty() -> None:
    assert derive(make_table([{}]).slice(0, 0), lambda *_: timedelta(1)).num_rows == 0


def test_every_warehouse_column_has_a_type() -> None:
    assert EVENTS_SCHEMA.names == [column.name for column in EVENT_COLUMNS]


def test_split() -> None:
    rows = [
        {"provider": "openai", "model": "gpt-4o", "input_tokens": 5, "stream": True, "body": '{"a": 1}'},
        {"type": "product.event", "name": "sale", "revenue_usd": 19.99, "http_status_code": 200},
    ]
    table = derive(price(make_table(rows), PriceTable()).table, lambda *_: timedelta(days=1))
    tables = split(table)
    for field in tables.events.schema:
        wanted = EVENTS_SCHEMA.field(field.name).type
        assert field.type in (wanted, pa.dictionary(pa.int32(), pa.string()))
    first, second = tables.events.to_pylist()
    assert (first["input_tokens"], first["stream"], second["revenue_usd"]) == (5, True, Decimal("19.99"))
    assert first["revenue_usd"] is None
    assert "body" not in tables.events.column_names
    assert "output_tokens" not in tables.events.column_names
    assert tables.payloads is not None
    (payload,) = tables.payloads.to_pylist()
    assert (payload["id"], payload["body"]) == (first["id"], '{"a": 1}')


def test_without_contents_there_are_no_payloads() -> None:
    assert split(make_table([{}])).payloads is None
    assert split(make_table([{"body": "{}"}])).payloads.num_rows == 1  # type: ignore[union-attr]


def test_dictionaries_stay() -> None:
    table = pa.ipc.open_stream(make_record(make_table([{"model": "m"}]), dictionary=True)).read_all()
    assert pa.types.is_dictionary(split(table).events.schema.field("model").type)
