"""Anything → what JSON knows. Runs in the background thread; whatever the objects of the host do, nothing is raised."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from enum import Enum
from itertools import islice
from typing import Any, Final, NamedTuple

_LONGEST: Final = 2_048
_INT64: Final = 1 << 63


class Limits(NamedTuple):
    """How much of a value is kept."""

    depth: int = 64
    items: int = 1_000_000
    text: int = 64 << 20


#: What is left of an event that is too large: its figures, and the beginnings of its texts; less if that is too much.
CUTS: Final = (Limits(depth=8, items=64, text=1_024), Limits(depth=6, items=16, text=128))


def simplify(value: Any) -> Any:
    """One step of a value that JSON does not know towards one that it does; at the end of all steps there is text."""
    try:
        for kinds, step in _STEPS:
            if isinstance(value, kinds):
                return step(value)
        if hasattr(type(value), "as_integer_ratio"):  # decimals, fractions: costs are written so
            return float(value)
        for name in ("model_dump", "to_dict", "tolist", "item"):  # pydantic; clients of providers; numpy
            # Of the type: a mock has every attribute, and each is another mock.
            if callable(method := getattr(type(value), name, None)):
                return method(value)
        if names := getattr(type(value), "__dataclass_fields__", None):
            return {name: getattr(value, name, None) for name in names}
    except BaseException:  # noqa: S110 - the background thread must survive even SystemExit
        pass
    return described(value)


def described(value: Any) -> str:
    """The text of a value, or the name of its type if it has none."""
    try:
        return str(value)[:_LONGEST]
    except BaseException:  # as above
        return f"<unprintable {type(value).__name__}>"


_STEPS: Final[tuple[tuple[Any, Callable[[Any], Any]], ...]] = (
    (Enum, lambda value: value.value),
    ((datetime, date, time), lambda value: value.isoformat()),
    (BaseException, lambda value: f"{type(value).__name__}: {value}"),
    ((bytes, bytearray, memoryview), lambda value: bytes(value).decode("utf-8", "backslashreplace")),
    (Mapping, dict),
    ((list, tuple, set, frozenset, deque), list),
    (type, lambda value: value.__qualname__),
)


def plain(value: Any, limits: Limits = Limits(), above: tuple[int, ...] = ()) -> Any:  # noqa: B008 - immutable
    """``value`` in plain dicts, lists, texts and numbers: slow, and sure of the outcome.

    Parameters
    ----------
    value
        Anything: cyclic, endless, hostile.
    limits
        How much of it is kept.
    above
        The containers around it, by identity.
    """
    try:
        return _plain(value, limits, above)
    except BaseException:  # as in simplify
        return described(value)


def _plain(value: Any, limits: Limits, above: tuple[int, ...]) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, limits.text)
    if isinstance(value, int):
        return int(value) if -_INT64 <= value < _INT64 else described(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if id(value) in above:
        return "<cycle>"
    if len(above) >= limits.depth:
        return "<too deep>"
    within = (*above, id(value))
    if type(value) is dict:
        return {_text(_key(key), 256): plain(item, limits, within) for key, item in _first(value.items(), limits)}
    if type(value) is list:
        return [plain(item, limits, within) for item in _first(value, limits)]
    return plain(simplify(value), limits, within)


def _first(items: Iterable[Any], limits: Limits) -> list[Any]:
    return list(islice(items, limits.items))


def _key(key: Any) -> str:
    return key if isinstance(key, str) else described(key)


def _text(value: str, most: int) -> str:
    """Well-formed text: half characters (lone surrogates) are no Unicode."""
    text = str.encode(value, "utf-8", "replace").decode()
    return text if len(text) <= most else f"{text[:most]}… [cut]"
