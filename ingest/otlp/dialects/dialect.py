"""What a dialect says: which attribute is which field of an event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

#: Contents without a field of their own: kept with the contents, under the attribute's name.
MORE: Final = "more_attributes"

Convert = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """Where an attribute goes.

    Parameters
    ----------
    name
        A field of ``data`` or of the envelope; :data:`MORE` for contents that are no field, empty for no field at all.
    convert
        From the attribute's value to the field's; what it gives None for stays an attribute.
    of_type
        Event types for which another field is meant: ``{"tool.call": "arguments"}``.
    """

    name: str
    convert: Convert | None = None
    of_type: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way in which instrumentations describe calls of models.

    Of several attributes for one field the first counts: of a dialect in the order of ``fields``, of dialects in the
    order of :data:`ingest.otlp.dialects.DIALECTS`.

    Parameters
    ----------
    fields
        Attribute → field.
    types
        Attribute → its values in lower case → event type; ``span/chain`` is a ``span`` of the kind ``chain``.
    signs
        Attribute whose mere presence tells the event type, where no attribute of ``types`` does.
    objects
        Attribute that holds an object of JSON → its members that are fields; the attribute is kept.
    readers
        Attribute that holds an object whose members are not fields as they are → what makes fields of its value.
    messages
        Prefix of attributes that hold a list flattened (``llm.input_messages.0.message.role``) → field.
    wrappers
        Words of such names that stand between the number and the field, to be left out.
    events
        Name of a span's event that holds a message → field, and the role where the event's name tells it.
    first_token
        Names of a span's events that mark the first token.
    """

    fields: Mapping[str, str | Field] = field(default_factory=dict)
    types: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    signs: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    readers: Mapping[str, Convert] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    wrappers: frozenset[str] = frozenset()
    events: Mapping[str, tuple[str, str | None]] = field(default_factory=dict)
    first_token: frozenset[str] = frozenset()


def first(value: Any) -> Any:
    """The first of a list, or what is no list."""
    if isinstance(value, list):
        return value[0] if value else None
    return value


def milliseconds(value: Any) -> float | None:
    """Seconds as milliseconds."""
    return value * 1000.0 if isinstance(value, int | float) and not isinstance(value, bool) else None


def flag(value: Any) -> Any:
    """Yes and no as Python writes them in text."""
    return {"True": True, "False": False}.get(value, value) if isinstance(value, str) else value


def object_of(value: Any) -> dict[str, Any]:
    """An object, or the text of one; empty for anything else."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
    return value if isinstance(value, dict) else {}


def lower(value: Any) -> str | None:
    """A name in lower case, so that ``OpenAI`` and ``openai`` are one provider."""
    return value.strip().lower() if isinstance(value, str) else None
