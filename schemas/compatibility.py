"""Whether whoever wrote events by one JSON Schema may go on under another."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

#: What describes and does not decide.
ANNOTATIONS: Final = frozenset(
    ("$schema", "$id", "$comment", "title", "description", "examples", "example", "default", "deprecated")
)
_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_COMPARED: Final = frozenset(
    (
        "type",
        "enum",
        "const",
        "required",
        "properties",
        "additionalProperties",
        "items",
        "anyOf",
        "oneOf",
        *_LEAST,
        *_MOST,
    )
)

Schema = Mapping[str, Any]


def problems(old: Any, new: Any, field: str = "") -> Iterator[str]:
    """What an event that is good by ``old`` could be refused for by ``new``, or would no longer say.

    Each is a sentence that begins with the field; none means that ``new`` is compatible. A field that is gone is a
    problem although senders may go on sending it: those who read it are not told. What cannot be compared has to be the
    same. Fields that are new and optional are no problem.

    Examples
    --------
    >>> text, number = {"type": "string"}, {"type": "number"}
    >>> list(problems({"properties": {"a": text}}, {"properties": {"a": text, "b": number}, "required": ["b"]}))
    ['b is newly required']
    >>> list(problems({"properties": {"a": text}}, {"properties": {"a": number}}))
    ['a may no longer be string']
    """
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        if old != new and new is not True:
            yield f"{field or 'the whole'} is no longer what it was"
        return
    if _branches(old) or _branches(new):
        for branch in _branches(old) or (old,):
            if all(any(problems(branch, one, field)) for one in _branches(new) or (new,)):
                yield from problems(branch, _nearest(branch, new), field)
        return
    yield from _values(old, new, field or "the whole")
    yield from _object(old, new, field)
    if "items" in new:
        yield from problems(old.get("items", {}), new["items"], f"{field}[]")
    for name in sorted((old.keys() | new.keys()) - _COMPARED - ANNOTATIONS):
        if name in new and old.get(name) != new[name]:
            yield f"{field or 'the whole'} has another {name}, which cannot be compared"


def _branches(schema: Schema) -> Sequence[Any]:
    return schema.get("anyOf") or schema.get("oneOf") or ()


def _nearest(old: Schema, new: Schema) -> Any:
    """The branch to tell about: the one of the same type, else the first."""
    branches = _branches(new) or (new,)
    return next(
        (one for one in branches if isinstance(one, Mapping) and one.get("type") == old.get("type")), branches[0]
    )


def _values(old: Schema, new: Schema, field: str) -> Iterator[str]:
    for kind in sorted(_types(old) - _types(new)):
        if not (kind == "integer" and "number" in _types(new)):
            yield f"{field} may no longer be {kind}"
    if (allowed := _allowed(new)) is not None:
        before = _allowed(old)
        if before is None:
            yield f"{field} may only be one of {_list(allowed)} now"
        elif gone := [value for value in before if value not in allowed]:
            yield f"{field} may no longer be {_list(gone)}"
    for name in _LEAST:
        if name in new and (name not in old or new[name] > old[name]):
            yield f"{field} has a higher {name}: {new[name]}"
    for name in _MOST:
        if name in new and (name not in old or new[name] < old[name]):
            yield f"{field} has a lower {name}: {new[name]}"


_ALL_TYPES: Final = frozenset(("null", "boolean", "object", "array", "number", "string"))


def _types(schema: Schema) -> frozenset[str]:
    if "const" in schema and "type" not in schema:
        return _ALL_TYPES
    found = schema.get("type", _ALL_TYPES)
    return frozenset((found,)) if isinstance(found, str) else frozenset(found)


def _allowed(schema: Schema) -> Sequence[Any] | None:
    if "const" in schema:
        return (schema["const"],)
    found: Sequence[Any] | None = schema.get("enum")
    return found


def _list(values: Sequence[Any]) -> str:
    return ", ".join(map(repr, values[:10]))


def _object(old: Schema, new: Schema, field: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    prefix = f"{field}." if field else ""
    for name in before:
        if name not in after:
            yield f"{prefix}{name} is gone"
        else:
            yield from problems(before[name], after[name], prefix + name)
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{prefix}{name} is newly required"
    if "additionalProperties" in new:
        rest = old.get("additionalProperties", True), new["additionalProperties"]
        if rest[0] != rest[1] and rest[1] is not True:
            yield f"{field or 'the whole'} takes fewer other fields"
