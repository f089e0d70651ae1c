"""Schemas of tenants: what may be one, what it costs at most, and what it says of events."""

import time
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Unprocessable
from schemas import custom
from schemas.custom import Misfit, check_document, check_name, compiled

CART = {
    "type": "object",
    "properties": {
        "cart": {"type": "string", "pattern": "^(a+)+$"},
        "items": {"type": "integer", "minimum": 1},
        "who": {"$ref": "#/$defs/person"},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
    },
    "required": ["cart"],
    "$defs": {"person": {"type": "object", "properties": {"mail": {"type": "string", "format": "email"}}}},
}


@pytest.mark.parametrize(
    ("data", "field", "says"),
    [
        ({}, "data.cart", "is required"),
        ({"cart": "secret"}, "data.cart", "does not match"),
        ({"cart": "a", "items": 0}, "data.items", "less than the minimum of 1"),
        ({"cart": "a", "items": "secret"}, "data.items", 'is not of type "integer"'),
        ({"cart": "a", "who": {"mail": "secret"}}, "data.who.mail", '"email"'),
        ({"cart": "a", "lines": [{"sku": 1}, {"secret": 1}]}, "data.lines.1.sku", "is required"),
    ],
)
def test_what_does_not_fit_is_named_and_not_quoted(data: dict[str, Any], field: str, says: str) -> None:
    check_document(CART)
    with pytest.raises(Misfit) as caught:
        compiled("shop.cart", {(1, 0): CART}).check(None, data)
    assert caught.value.field == field
    assert says in caught.value.reason
    assert "secret" not in caught.value.reason


def test_versions() -> None:
    newer = {**CART, "properties": {**CART["properties"], "coupon": {"type": "string"}}}  # type: ignore[dict-item]
    other = {"type": "object", "properties": {"basket": {"type": "string"}}, "required": ["basket"]}
    own = compiled("shop.cart", {(1, 0): CART, (1, 1): newer, (2, 0): other})
    assert own.check(None, {"basket": "b"}) == "2.0"
    assert own.check("1.0", {"cart": "a", "coupon": 3}) == "1.0"
    assert own.check("1.9", {"cart": "a", "coupon": "c", "new": 1}) == "1.9"
    for version, data, field in (
        ("1.1", {"cart": "a", "coupon": 3}, "data.coupon"),
        ("1.9", {"cart": "a", "coupon": 3}, "data.coupon"),
        ("3.0", {}, "schema_version"),
        ("one", {}, "schema_version"),
    ):
        with pytest.raises(Misfit) as caught:
            own.check(version, data)
        assert caught.value.field == field
    assert "known are 1.x, 2.x" in caught.value.reason


def wrong(document: Any) -> str:
    """What is said of a document that cannot be taken."""
    started = time.process_time()
    with pytest.raises(Unprocessable) as caught:
        check_document(document)
    assert time.process_time() - started < 2
    return caught.value.detail


def of(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": schema}}


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ([], 'must say "type": "object"'),
        ({"type": "array"}, 'must say "type": "object"'),
        (of({"$ref": "https://example.com/schema"}), "schema.properties.a.$ref: may only name one of the schema's own"),
        (of({"$ref": "file:///etc/passwd"}), "may only name"),
        (of({"$ref": "#"}), "may only name"),
        (of({"$ref": "#/$defs/absent"}), "may only name"),
        (of({"$ref": 3}), "may only name"),
        (of({"$dynamicRef": "#a"}), "is no keyword that is taken here"),
        ({"type": "object", "$id": "https://example.com"}, "is no keyword that is taken here"),
        (of({"$defs": {}}), "is no keyword that is taken here"),
        ({"type": "object", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "goes round in a circle"),
        ({"type": "object", "$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}, "in a circle"),
        (of({"pattern": "(?=x)"}), 'is not a "regex"'),
        (of({"pattern": "(" + "a{1000}" * 60 + ")"}), 'is not a "regex"'),
        (of({"pattern": "a" * 501}), "at most 500 characters"),
        (of({"type": "banana"}), "schema.properties.a.type: is no JSON Schema"),
        (of({"minimum": "x"}), "is no JSON Schema"),
        (of([]), "must be a schema"),
        (of({"anyOf": {}}), "must be an array of schemas"),
        (of({"patternProperties": []}), "must be an object of names and schemas"),
        (of({"format": "regex"}), "must be one of date"),
        (of({"description": "x" * custom.MAX_BYTES}), "and may have 65536"),
        (of({"description": "\ud800"}), "not Unicode"),
    ],
)
def test_what_may_be_no_schema(document: Any, says: str) -> None:
    assert says in wrong(document)


def test_references_cannot_blow_up() -> None:
    names = [f"d{n}" for n in range(12)]
    definitions = {name: {"allOf": [{"$ref": f"#/$defs/{after}"}] * 3} for name, after in pairwise(names)}
    told = wrong({"type": "object", "$defs": {**definitions, names[-1]: {}}})
    assert "references followed" in told
    deep: dict[str, Any] = {}
    for _ in range(20):
        deep = of(deep)
    assert "is nested more than 16 deep" in wrong(deep)


@pytest.mark.parametrize(
    "name", ["cart", "Shop.cart", "shop.", "shop..cart", "a.b.c.d.e.f.g", "shop/x.y", "x." + "y" * 99]
)
def test_what_may_be_no_name(name: str) -> None:
    with pytest.raises(Unprocessable, match="no name of a type of your own"):
        check_name(name)


@pytest.mark.parametrize("name", ["llm.cart", "hub.events", "metric.own", "span.own", "gen_ai.x"])
def test_the_hubs_namespaces_are_its_own(name: str) -> None:
    with pytest.raises(Unprocessable, match="namespace of the hub"):
        check_name(name)


def test_names() -> None:
    for name in ("shop.cart", "custom.x", "x.y-z", "shop.cart_abandoned.v2"):
        check_name(name)


KEYWORDS = [
    "type",
    "properties",
    "$ref",
    "$defs",
    "items",
    "allOf",
    "pattern",
    "required",
    "enum",
    "minimum",
    "format",
    "x",
]
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["object", "a", "#/$defs/a", "^(a|a)*$"])),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*KEYWORDS, "a"]), inner)),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(st.sampled_from(KEYWORDS), anything), anything)
def test_anything_is_taken_or_refused_in_words(document: dict[str, Any], data: Any) -> None:
    whole = {**document, "type": "object"}
    try:
        check_document(whole)
    except Unprocessable:
        return
    with suppress(Misfit):
        compiled("a.b", {(1, 0): whole}).check(None, data if isinstance(data, dict) else {"a": data})
