"""What the envelope takes, and what it makes of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.envelope import MAX_ATTRIBUTE_LENGTH, MAX_ATTRIBUTES, Envelope
from schemas.json_schema import example

TRACE = "0192f0c1" * 4


def envelope(**changes: Any) -> Envelope:
    return Envelope.model_validate({**example("llm.request"), **changes})


@pytest.mark.parametrize(
    "text", [TRACE, TRACE.upper(), f"{TRACE[:8]}-{TRACE[8:12]}-{TRACE[12:16]}-{TRACE[16:20]}-{TRACE[20:]}"]
)
def test_a_trace_id_is_hex_however_it_is_written(text: str) -> None:
    assert envelope(trace_id=text).trace_id == TRACE


def test_numbers_are_names() -> None:
    assert envelope(user_id=42).user_id == "42"


def test_attributes_become_text() -> None:
    given = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None, "f": {"g": [1]}}
    assert envelope(attributes=given).attributes == {"a": "x", "b": "1", "c": "1.5", "d": "true", "f": '{"g":[1]}'}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"trace_id": "xyz"}, "trace_id"),
        ({"trace_id": 5}, "trace_id"),
        ({"span_id": "0" * 15}, "span_id"),
        ({"source": ""}, "source"),
        ({"source": None}, "source"),
        ({"source": True}, "source"),
        ({"user_id": "u" * 257}, "user_id"),
        ({"user_id": 1.5}, "user_id"),
        ({"schema_version": "one"}, "schema_version"),
        ({"time": "2026-11-20T12:00:00"}, "time"),
        ({"data": []}, "data"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {str(i): "" for i in range(MAX_ATTRIBUTES + 1)}}, "attributes"),
        ({"attributes": {"a": "x" * (MAX_ATTRIBUTE_LENGTH + 1)}}, "attributes"),
        ({"attributes": {"a" * 257: "x"}}, "attributes"),
        ({"tenant": "other"}, "tenant"),
    ],
)
def test_what_is_refused_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        envelope(**changes)
    assert caught.value.errors()[0]["loc"][0] == field
