"""What was published is a promise: this checkout keeps it, and what would break it is found."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.difference import difference, main
from tests.api.document import document, published


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return json.loads(json.dumps(document()))


def test_nothing_that_was_published_breaks(now: dict[str, Any]) -> None:
    assert published(), "publish the first document: python -m tests.api.document"
    last = published()[-1]
    changes = difference(json.loads(last.read_text()), now)
    broken = [str(change) for change in changes if change.breaking]
    assert not broken, f"since {last.name} (docs/releases.md says what is allowed when):\n" + "\n".join(
        map(str, changes)
    )


def test_a_document_is_like_itself(now: dict[str, Any]) -> None:
    assert difference(now, now) == []


QUERY = ("paths", "/v1/query", "post")


def inside(found: Any, *path: Any) -> Any:
    for part in path:
        found = found[part]
    return found


def schema_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    return dict[str, Any](inside(found, "components", "schemas"))[name]


def drop_path(made: dict[str, Any]) -> None:
    del made["paths"]["/v1/query"]


def drop_method(made: dict[str, Any]) -> None:
    del made["paths"]["/v1/keys"]["post"]


def need_parameter(made: dict[str, Any]) -> None:
    operation = inside(made, "paths", "/v1/traces/{trace_id}", "get")
    operation["parameters"].append({"in": "query", "name": "why", "required": True, "schema": {"type": "string"}})


def drop_parameter(made: dict[str, Any]) -> None:
    parameters = inside(made, "paths", "/v1/exports", "get", "parameters")
    parameters[:] = [one for one in parameters if one["name"] != "format"]


def narrow_choice(made: dict[str, Any]) -> None:
    format_of(made)["enum"].remove("csv")


def format_of(made: dict[str, Any]) -> dict[str, Any]:
    parameters = inside(made, "paths", "/v1/exports", "get", "parameters")
    return next(one["schema"] for one in parameters if one["name"] == "format")


def need_field(made: dict[str, Any]) -> None:
    schema_of(made, "Question")["required"] = [*schema_of(made, "Question").get("required", []), "limit"]


def drop_answered_field(made: dict[str, Any]) -> None:
    del schema_of(made, "Readiness")["properties"]["checks"]


def answer_less_surely(made: dict[str, Any]) -> None:
    schema_of(made, "Readiness")["required"].remove("checks")


def other_type_sent(made: dict[str, Any]) -> None:
    schema_of(made, "Question")["properties"]["limit"] = {"type": "string"}


def other_type_answered(made: dict[str, Any]) -> None:
    schema_of(made, "Readiness")["properties"]["status"] = {"type": "integer"}


def tighter_bound(made: dict[str, Any]) -> None:
    limit = schema_of(made, "Question")["properties"]["limit"]
    for one in (limit, *limit.get("anyOf", [])):
        if "maximum" in one:
            one["maximum"] -= 1


def drop_success(made: dict[str, Any]) -> None:
    del inside(made, *QUERY, "responses")["200"]


BREAKING: list[tuple[Callable[[dict[str, Any]], None], str]] = [
    (drop_path, "POST /v1/query: is gone"),
    (drop_method, "POST /v1/keys: is gone"),
    (need_parameter, "query why: is new and required"),
    (drop_parameter, "query format: is gone"),
    (narrow_choice, 'no longer takes choice "csv"'),
    (need_field, "limit: is required now"),
    (drop_answered_field, "checks: is gone"),
    (answer_less_surely, "checks: may be missing now"),
    (other_type_sent, "limit: no longer takes type integer"),
    (other_type_answered, "status: changed its type integer"),
    (tighter_bound, "maximum is"),
    (drop_success, "200: is gone"),
]


@pytest.mark.parametrize(("change", "told"), BREAKING, ids=lambda value: getattr(value, "__name__", ""))
def test_what_breaks_callers_is_found(now: dict[str, Any], change: Callable[[Any], None], told: str) -> None:
    made = copy.deepcopy(now)
    change(made)
    found = [str(one) for one in difference(now, made) if one.breaking]
    assert any(told in one for one in found), found


def test_what_breaks_nobody_is_told_and_no_more(now: dict[str, Any], tmp_path: Path, capsys: Any) -> None:
    made = copy.deepcopy(now)
    made["paths"]["/v1/new"] = {"get": {"responses": {"200": {"description": "new"}}}}
    schema_of(made, "Readiness")["properties"]["more"] = {"type": "string"}
    schema_of(made, "Question")["properties"]["more"] = {"type": "string"}
    inside(made, "paths", "/v1/exports", "get", "parameters").append({"in": "query", "name": "more", "schema": {}})
    format_of(made)["enum"].append("avro")
    found = difference(now, made)
    assert not [str(one) for one in found if one.breaking]
    assert {"GET /v1/new", "GET /v1/exports query more"} <= {one.place for one in found}
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text(json.dumps(now))
    new.write_text(json.dumps(made))
    assert main(old, new) == 0
    assert main(new, old) == 1
    assert "GET /v1/new: is gone" in capsys.readouterr().out
    assert main(old, old) == 0
