"""Models, columns, Arrow schema, JSON Schema and the documentation of events say the same."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from schemas import published
from schemas.arrow import ARROW_TYPES, LOG_SCHEMA
from schemas.catalogue import EVENT_MODELS, EVENT_TYPES
from schemas.columns import DATA_COLUMNS, EVENT_COLUMNS, FIELDS, LABELS, LOG_COLUMNS, fields_of
from schemas.data import EventData
from schemas.envelope import Envelope
from schemas.json_schema import example, json_schema, summary

TYPES = sorted(EVENT_TYPES)
COMMON = set(EventData.model_fields)


def documented() -> dict[str, dict[str, bool]]:
    """Type → field → required, as EVENTS.md has it; empty where that file is not beside the checkout."""
    path = Path(__file__).resolve().parents[3] / "shared" / "EVENTS.md"
    if not path.exists():
        return {}
    types = {}
    for line in path.read_text().splitlines():
        if (cells := re.split(r"(?<!\\)\|", line))[0] == "" and len(cells) == 5 and "`" in cells[1]:
            # what stands in brackets describes a field; it is no field
            text = re.sub(r"\([^()]*\)", "", cells[3])
            found = {name: bool(bold) for bold, name in re.findall(r"(\*\*)?`([a-z_]+)`", text)}
            types[cells[1].strip(" `")] = found
    return types


def test_the_documented_types_are_the_types() -> None:
    if documents := documented():
        assert set(documents) == set(EVENT_TYPES)


@pytest.mark.parametrize("event_type", TYPES)
def test_the_documented_fields_are_the_fields(event_type: str) -> None:
    if documents := documented():
        either = {"score", "label", "rating"}  # one of two is required: a rule of the model
        ours = {n: f.required for n, f in fields_of(event_type).items()}
        theirs = documents[event_type]
        assert set(theirs) - {"vllm"} <= set(ours)
        first = published.schema(event_type, "1.0")  # the documentation tells of that version
        assert first is not None
        assert (set(ours) & set(first["properties"]["data"]["properties"])) - COMMON <= set(theirs)
        assert {n for n, r in theirs.items() if r} - either == {n for n, r in ours.items() if r} - either


@pytest.mark.parametrize("event_type", TYPES)
def test_the_example_is_valid_and_keeps_its_fields(event_type: str) -> None:
    whole = example(event_type)
    envelope = Envelope.model_validate(whole)
    data = EVENT_TYPES[event_type].model_validate(envelope.data)
    assert set(data.model_dump(exclude_none=True)) == set(whole["data"])
    assert set(whole["data"]) <= set(fields_of(event_type))


@pytest.mark.parametrize("event_type", TYPES)
def test_the_json_schema_has_the_fields_of_the_model(event_type: str) -> None:
    schema = json_schema(event_type)
    data = schema["properties"]["data"]
    assert set(data["properties"]) == set(EVENT_TYPES[event_type].model_fields)
    assert set(data["required"]) == {name for name, field in fields_of(event_type).items() if field.required}
    assert set(schema["properties"]) == set(Envelope.model_fields)
    assert set(schema["required"]) >= {"type", "source", "time"}
    assert schema["properties"]["type"]["const"] == event_type
    assert schema["examples"][0]["data"] == EVENT_TYPES[event_type].EXAMPLE
    assert "$ref" not in str(schema)


@pytest.mark.parametrize("event_type", TYPES)
def test_required_fields_are_required(event_type: str) -> None:
    model = EVENT_TYPES[event_type]
    for name, field in fields_of(event_type).items():
        if field.required:
            rest = {key: value for key, value in model.EXAMPLE.items() if key != name}
            with pytest.raises(ValidationError, match="Field required"):
                model.model_validate(rest)


def test_every_type_is_summed_up() -> None:
    for model in EVENT_MODELS:
        line = summary(model)
        assert line["type"] == model.TYPE
        assert line["description"].endswith(".")


def test_the_arrow_schema_is_that_of_the_columns() -> None:
    assert LOG_SCHEMA.names == [column.name for column in LOG_COLUMNS]
    for column in LOG_COLUMNS:
        assert LOG_SCHEMA.field(column.name).type == ARROW_TYPES[column.arrow]


def test_column_names_are_used_once() -> None:
    for columns in (LOG_COLUMNS, EVENT_COLUMNS):
        names = [column.name for column in columns]
        assert len(names) == len(set(names))


def test_what_is_stored_has_a_type() -> None:
    assert all(column.clickhouse for column in EVENT_COLUMNS)
    assert {column.name for column in DATA_COLUMNS} == {n for n, f in FIELDS.items() if f.stored.place == "column"}


def test_a_type_has_at_most_one_label() -> None:
    for event_type in EVENT_TYPES:
        labels = [name for name, field in fields_of(event_type).items() if field.stored.place == "label"]
        assert labels == ([LABELS[event_type]] if event_type in LABELS else [])


def test_every_field_is_described() -> None:
    for event_type in EVENT_TYPES:
        for field in fields_of(event_type).values():
            assert field.description, f"{event_type}.{field.name}"


def test_columns_know_the_limits() -> None:
    tokens = fields_of("llm.request")["input_tokens"]
    assert (tokens.minimum, tokens.maximum, tokens.stored.unit) == (0, 2**31, "tokens")
    assert fields_of("span")["status"].choices == ("ok", "error")
    assert fields_of("llm.request")["model"].min_length == 1
    assert fields_of("llm.request")["model"].max_length == 256
    with pytest.raises(StopIteration):
        fields_of("no.such")
