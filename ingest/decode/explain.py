"""From a validation error to a sentence about one field that says what would be right."""

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from schemas.catalogue import EVENT_TYPES
from schemas.envelope import Envelope


class RowInvalid(Exception):
    """A row cannot be kept: ``field`` is its exact name, ``kind`` a word for the metrics."""

    def __init__(self, field: str, reason: str, kind: str = "field") -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason
        self.kind = kind


_REASONS = {
    "missing": "is required",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters",
    "too_long": "must have at most {max_length} items",
    "literal_error": "must be one of {expected}",
    "string_pattern_mismatch": "must be a version like 1.0",
    "value_error": "{error}",
}


def invalid(error: ValidationError, prefix: str = "") -> RowInvalid:
    """The first thing that is wrong, under its exact name (``data.input_tokens``, ``attributes``)."""
    first = error.errors(include_url=False)[0]
    location = [str(part) for part in first["loc"]]
    field = ".".join([prefix, *location] if prefix else location)
    if first["type"] == "extra_forbidden":
        return RowInvalid(field, unknown_field(field))
    template = _REASONS.get(first["type"])
    reason = template.format_map(_Context(first.get("ctx", {}))) if template else first["msg"]
    if first["type"] == "value_error" and not location:  # a rule over several fields names them itself
        return RowInvalid(field, f"is incomplete: {reason}")
    return RowInvalid(field, reason, "time" if field == "time" else "field")


class _Context(dict[str, Any]):
    """Numbers as people write them: ``2147483648``, not ``2147483648.0``."""

    def __missing__(self, key: str) -> str:
        return key

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        return int(value) if isinstance(value, float) and value.is_integer() else value


def unknown_field(name: str) -> str:
    """What to do with a field that the envelope does not have."""
    near = nearest(name, Envelope.model_fields)
    hint = f"; did you mean {near!r}?" if near else "; put it into data or attributes"
    return f"is no field of the envelope{hint}"


def unknown_type(name: object, own: Collection[str] = ()) -> RowInvalid:
    """The verdict on an event of a type nobody knows."""
    if not isinstance(name, str):
        return RowInvalid("type", "is required" if name is None else "must be text", "type")
    near = nearest(name, (*EVENT_TYPES, *own))
    hint = f"; did you mean {near!r}?" if near else f"; the types are {', '.join((*EVENT_TYPES, *own))}"
    return RowInvalid("type", f"{name[:100]!r} is no known event type{hint}", "type")


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The known name that ``name`` was most likely meant to be.

    Examples
    --------
    >>> nearest("llm.requst", ["llm.request", "span"])
    'llm.request'
    """
    found = get_close_matches(name[:100].lower(), list(names), n=1, cutoff=0.6)
    return found[0] if found else None


def native(name: str, names: Mapping[str, str]) -> str:
    """``data.scores.3`` is ``hits.scores.3`` where ``data.scores`` was taken from ``hits.scores``."""
    head, rest = name, ""
    while head:
        if head in names:
            return names[head] + rest
        head, dot, last = head.rpartition(".")
        rest = dot + last + rest
    return name
