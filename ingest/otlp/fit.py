"""What a field takes: a value as it is kept, or None for one that does not fit."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from ingest.decode.shape import COLUMN_FIELDS, TYPE_FIELDS
from ingest.otlp.values import Value
from schemas.columns import EventField
from schemas.fields import NAME_LENGTH

#: Fields of the envelope that attributes may fill.
ENVELOPE: Final = frozenset({"project", "environment", "session_id", "user_id"})
#: Fields that only the types that are priced may have: elsewhere they would count twice.
OF_CALLS: Final = frozenset({"cost_usd"})
CALLS: Final = frozenset({"llm.request", "llm.embedding"})
#: Fields that no type declares, kept in ``data``: the price of a call may depend on them.
EXTRA: Final[Mapping[str, frozenset[str]]] = {"service_tier": CALLS}
#: Values that are no field, but lead to one.
HELD: Final = frozenset({"first_token_at", "collection"})


@cache
def field_of(name: str) -> EventField:
    """A field of ``data``, of whatever type."""
    if name in COLUMN_FIELDS:
        return COLUMN_FIELDS[name]
    return next(fields[name] for fields in TYPE_FIELDS.values() if name in fields)


def place_of(name: str) -> str:
    """Where a field is kept."""
    return "envelope" if name in ENVELOPE else field_of(name).stored.place


def _text(longest: int) -> Callable[[Value], str | None]:
    def fit(value: Value) -> str | None:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        return value if isinstance(value, str) and 0 < len(value) <= longest else None

    return fit


def _whole(field: EventField) -> Callable[[Value], int | None]:
    low, high = field.minimum, field.maximum

    def fit(value: Value) -> int | None:
        if isinstance(value, str) and value.isdecimal() and len(value) < 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        return value if (low is None or value >= low) and (high is None or value <= high) else None

    return fit


def _real(field: EventField) -> Callable[[Value], float | None]:
    low = -1e308 if field.minimum is None else field.minimum
    high = 1e308 if field.maximum is None else field.maximum

    def fit(value: Value) -> float | None:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return None
        return float(value) if low <= value <= high else None  # NaN is in no range

    return fit


def _flag(value: Value) -> bool | None:
    return value if isinstance(value, bool) else None


def _fit(name: str) -> Callable[[Value], Any]:
    """What a field takes."""
    if name in ENVELOPE or name in EXTRA or name in HELD:
        return _text(NAME_LENGTH)
    field = field_of(name)
    if field.choices:
        return lambda value: value if value in field.choices else None
    match field.stored.arrow:
        case "int64":
            return _whole(field)
        case "float64":
            return _real(field)
        case "bool":
            return _flag
        case _:
            return _text(field.max_length or NAME_LENGTH)


def fit(name: str, value: Value) -> Any:
    """The value as the field takes it, or None."""
    return _FIT[name](value)


class _Fits(dict[str, Callable[[Value], Any]]):
    def __missing__(self, name: str) -> Callable[[Value], Any]:
        found = self[name] = _fit(name)
        return found


_FIT: Final = _Fits()
