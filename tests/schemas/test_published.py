"""What was published stays true: a changed model is a new version, a minor one is compatible, a major one has a way."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from schemas import published
from schemas.catalogue import EVENT_MODELS, EVENT_TYPES
from schemas.compatibility import problems
from schemas.custom import parse_version
from schemas.data import EventData
from schemas.json_schema import json_schema
from schemas.versions import steps


def complaints(event_type: str, model: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a type whose model says ``model`` now, and what to do."""
    version = EVENT_TYPES[event_type].VERSION
    path = published.FOLDER / f"{event_type}-{version}.json"
    if not path.exists():
        yield f"{event_type} {version} is not published: run `python -m tests.schemas.publish` and commit {path.name}"
        return
    was = published.stored(event_type, version)
    if changed := [*problems(was, model), *problems(model, was)]:
        yield (
            f"{event_type} {version} was published and must not change, but {'; '.join(changed)}. Optional fields that "
            "are new: raise VERSION's second number in the model and run `python -m tests.schemas.publish`. Anything "
            "else: raise the first number, and write a step from the version before into schemas/versions.py"
        )
    for older, newer in pairwise(published.versions(event_type)):
        yield from _between(event_type, older, newer)


def _between(event_type: str, older: str, newer: str) -> Iterator[str]:
    before, after = parse_version(older), parse_version(newer)
    assert before is not None
    assert after is not None
    if before[0] == after[0]:
        broken = list(problems(published.stored(event_type, older), published.stored(event_type, newer)))
        if broken and not steps(event_type, older):
            yield f"{event_type} {newer} is not compatible with {older}: {'; '.join(broken)}. Make it {after[0] + 1}.0"
    elif steps(event_type, older) is None:
        yield f"{event_type} {older} cannot be read any more: write a step to {newer} into schemas/versions.py"


@pytest.mark.parametrize("event_type", EVENT_TYPES)
def test_every_model_keeps_what_was_published(event_type: str) -> None:
    assert list(complaints(event_type, json_schema(event_type))) == []


def test_only_what_exists_is_published() -> None:
    names = {path.name.rpartition("-")[0] for path in published.FOLDER.glob("*.json")}
    assert names == {model.TYPE for model in EVENT_MODELS}


def changed(**fields: Any) -> dict[str, Any]:
    """The schema of llm.request with other fields of ``data``; None takes one away."""
    whole = json_schema("llm.request")
    data = whole["properties"]["data"]
    properties = {name: field for name, field in (data["properties"] | fields).items() if field is not None}
    return {**whole, "properties": {**whole["properties"], "data": {**data, "properties": properties}}}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"stream": None}, "data.stream is gone"),
        ({"model": {"type": "integer"}}, "data.model may no longer be string"),
        ({"status": {"enum": ["ok"]}}, "data.status may only be one of 'ok' now"),
        ({"brand_new": {"type": "string"}}, "data.brand_new is gone"),
    ],
)
def test_a_changed_model_is_noticed(fields: dict[str, Any], says: str) -> None:
    (told,) = complaints("llm.request", changed(**fields))
    assert "llm.request 1.0 was published and must not change" in told
    assert says in told or "data.status may no longer be" in told
    assert "tests.schemas.publish" in told
    assert "schemas/versions.py" in told


def test_a_newly_required_field_is_noticed() -> None:
    whole = json_schema("llm.request")
    data = {**whole["properties"]["data"], "required": ["model", "provider"]}
    (told,) = complaints("llm.request", {**whole, "properties": {**whole["properties"], "data": data}})
    assert "data.provider is newly required" in told


def test_a_version_that_is_not_published_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    model: type[EventData] = EVENT_TYPES["llm.request"]
    monkeypatch.setattr(model, "VERSION", "1.1")
    (told,) = complaints("llm.request", json_schema("llm.request"))
    assert "llm.request 1.1 is not published" in told


def test_a_major_version_needs_a_way_from_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EVENT_TYPES["llm.request"], "VERSION", "2.0")
    (told,) = _between("llm.request", "1.0", "2.0")
    assert "write a step to 2.0" in told


def test_older_versions_are_there_to_be_read() -> None:
    assert published.versions("evaluation.score") == ("1.0", "1.1")
    old, new = published.schema("evaluation.score", "1.0"), published.schema("evaluation.score")
    assert old is not None
    assert new == published.schema("evaluation.score", "1.1") == json_schema("evaluation.score")
    fields = [set(one["properties"]["data"]["properties"]) for one in (old, new) if one]
    assert fields[1] - fields[0] == {"dataset", "run_id"}
    assert published.schema("evaluation.score", "9.9") is None
