"""What is compatible and what is not, and that what is called compatible is."""

from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.compatibility import problems

TEXT, NUMBER, WHOLE = {"type": "string"}, {"type": "number"}, {"type": "integer"}


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (of(a=TEXT), of(a=TEXT, b=NUMBER), None),
        (of(a=WHOLE), of(a=NUMBER), None),
        (of(a={"enum": ["x"]}), of(a={"enum": ["x", "y"]}), None),
        (of(a={"const": "x"}), of(a={"enum": ["x", "y"]}), None),
        (of(a={**TEXT, "maxLength": 5}), of(a={**TEXT, "maxLength": 9}), None),
        (of(a={**TEXT, "pattern": "^x"}), of(a=TEXT), None),
        (of(a={**TEXT, "description": "old"}), of(a={**TEXT, "description": "new"}), None),
        (of(a=TEXT), of(a={"anyOf": [TEXT, {"type": "null"}]}), None),
        (of(a={"type": ["string", "null"]}), of(a={"type": ["string", "null", "number"]}), None),
        (of(a={"anyOf": [TEXT, NUMBER]}), of(a={"anyOf": [NUMBER, TEXT, {"type": "null"}]}), None),
        ({**of(a=TEXT), "required": ["a"]}, of(a=TEXT), None),
        (of(a={"type": "array", "items": WHOLE}), of(a={"type": "array", "items": NUMBER}), None),
        (of(a=TEXT), of(a=True), None),
        (of(a=TEXT), of(), "a is gone"),
        (of(a=NUMBER), of(a=WHOLE), "a may no longer be number"),
        (of(a=TEXT), {**of(a=TEXT), "required": ["a"]}, "a is newly required"),
        (of(a={"enum": ["x", "y"]}), of(a={"enum": ["x"]}), "a may no longer be 'y'"),
        (of(a=TEXT), of(a={**TEXT, "enum": ["x"]}), "a may only be one of 'x' now"),
        (of(a=TEXT), of(a={**TEXT, "maxLength": 9}), "a has a lower maxLength: 9"),
        (of(a={**WHOLE, "minimum": 0}), of(a={**WHOLE, "minimum": 1}), "a has a higher minimum: 1"),
        (of(a=TEXT), of(a={**TEXT, "pattern": "^x"}), "a has another pattern, which cannot be compared"),
        (of(a={"anyOf": [TEXT, {"type": "null"}]}), of(a=TEXT), "a may no longer be null"),
        (of(a={"anyOf": [TEXT, NUMBER]}), of(a={"anyOf": [NUMBER, WHOLE]}), "a may no longer be string"),
        (of(a=of(b=TEXT)), of(a=of()), "a.b is gone"),
        (of(a={"type": "array"}), of(a={"type": "array", "items": TEXT}), "a[] may no longer be array"),
        (of(), {**of(), "additionalProperties": False}, "the whole takes fewer other fields"),
        (of(a=True), of(a=False), "a is no longer what it was"),
    ],
)
def test_what_is_said(old: dict[str, Any], new: dict[str, Any], says: str | None) -> None:
    found = list(problems(old, new))
    assert (says in found) if says else not found, found


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    numbers = st.integers(-3, 3)
    whole = st.fixed_dictionaries({"type": st.sampled_from(["integer", "number"])}, optional={"minimum": numbers})
    text = st.fixed_dictionaries({"type": st.just("string")}, optional={"maxLength": st.integers(0, 4)})
    enum = st.fixed_dictionaries({"enum": st.lists(st.sampled_from(["", "a", 1, None]), min_size=1, unique_by=repr)})
    return st.one_of(whole, text, enum, st.just({"type": ["null", "string"]}), st.just({"const": "a"}))


def schemas() -> st.SearchStrategy[dict[str, Any]]:
    values = st.one_of(leaves(), st.fixed_dictionaries({"anyOf": st.lists(leaves(), min_size=1, max_size=2)}))
    inner = st.one_of(values, st.fixed_dictionaries({"type": st.just("array"), "items": values}))
    properties = st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    required = st.lists(st.sampled_from("abc"), max_size=2, unique=True)
    return st.fixed_dictionaries({"type": st.just("object"), "properties": properties, "required": required})


values = st.recursive(
    st.one_of(st.none(), st.integers(-4, 4), st.sampled_from(["", "a", "abc", 1.5, True])),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@settings(deadline=None, max_examples=500)
@given(schemas(), schemas(), st.lists(st.dictionaries(st.sampled_from("abc"), values, max_size=3), max_size=5))
def test_what_is_compatible_takes_what_was_taken(old: dict[str, Any], new: dict[str, Any], events: list[Any]) -> None:
    new = {**old, **new, "properties": {**old["properties"], **new["properties"]}}
    if any(problems(old, new)):
        return
    for event in events:
        said = {name: value for name, value in event.items() if name in old["properties"]}
        if jsonschema_rs.is_valid(old, said):
            assert jsonschema_rs.is_valid(new, said)


@settings(deadline=None, max_examples=100)
@given(schemas())
def test_everything_is_compatible_with_itself(schema: dict[str, Any]) -> None:
    assert list(problems(schema, schema)) == []
