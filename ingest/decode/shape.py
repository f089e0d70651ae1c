"""Where each field of an event goes: tables derived once from the schemas, shared by every decoder."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from schemas.catalogue import EVENT_TYPES
from schemas.columns import FIELDS, LABELS, EventField, common_fields, fields_of

#: Fields whose value is the name of the event's subject, by type, → the column ``name``.
TYPE_FIELDS: Final[Mapping[str, Mapping[str, EventField]]] = MappingProxyType(
    {event_type: fields_of(event_type) for event_type in EVENT_TYPES}
)

#: Fields of every type, for the types that tenants make.
COMMON_FIELDS: Final[Mapping[str, EventField]] = MappingProxyType(common_fields())


def _groups(name: str) -> tuple[tuple[EventField, frozenset[str]], ...]:
    groups: dict[EventField, set[str]] = {}
    for event_type, fields in TYPE_FIELDS.items():
        if name in fields:
            groups.setdefault(replace(fields[name], description=""), set()).add(event_type)
    return tuple((field, frozenset(types)) for field, types in groups.items())


#: Field → what its types ask of it; most types ask the same.
FIELD_GROUPS: Final[Mapping[str, tuple[tuple[EventField, frozenset[str]], ...]]] = MappingProxyType(
    {name: _groups(name) for name in FIELDS}
)

#: Field → the types whose events it names.
LABELLED: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {label: frozenset(t for t, name in LABELS.items() if name == label) for label in LABELS.values()}
)

#: Contents, whatever type they come in: a field called like one is never kept among the plain data.
BODY_FIELDS: Final[frozenset[str]] = frozenset(name for name, field in FIELDS.items() if field.stored.place == "body")

#: Those without which some type is no event.
NEEDED_BODY_FIELDS: Final[frozenset[str]] = frozenset(
    name for fields in TYPE_FIELDS.values() for name, field in fields.items() if field.required and name in BODY_FIELDS
)

#: Names of columns that a field of another type may fill too, if its value fits.
COLUMN_FIELDS: Final[Mapping[str, EventField]] = MappingProxyType(
    {name: field for name, field in FIELDS.items() if field.stored.place == "column"}
)

#: Types whose missing ``status`` means ``ok``.
STATUS_TYPES: Final[frozenset[str]] = frozenset(name for name, fields in TYPE_FIELDS.items() if "status" in fields)


def _fits_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 256


def _fits_int(field: EventField) -> Callable[[Any], bool]:
    low, high = int(field.minimum or 0), int(field.maximum or 2**31)
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _fits_float(field: EventField) -> Callable[[Any], bool]:
    low = -float("inf") if field.minimum is None else field.minimum
    high = float("inf") if field.maximum is None else field.maximum
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _fits(field: EventField) -> Callable[[Any], bool]:
    match field.stored.arrow:
        case "int64":
            return _fits_int(field)
        case "float64":
            return _fits_float(field)
        case "bool":
            return lambda value: isinstance(value, bool)
        case _:
            return _fits_text


#: Whether a value of a field that belongs to another type may be put into that field's column.
FITS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {name: _fits(field) for name, field in COLUMN_FIELDS.items()}
)
