"""Learning the shape of a sender's events, so that the next body can be read with a fixed schema."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final, Literal

import orjson
import polars as pl

from schemas.columns import FIELDS
from schemas.envelope import Envelope

#: ``json``: objects, arrays, or these and texts.
Kind = Literal["text", "int", "float", "bool", "json"]

_DTYPES: Final[Mapping[Kind, pl.DataType]] = {
    "text": pl.String(),
    "int": pl.Int64(),
    "float": pl.Float64(),
    "bool": pl.Boolean(),
    "json": pl.String(),
}
#: Names of the envelope that have single values.
ENVELOPE: Final = frozenset(Envelope.model_fields) - {"data", "attributes"}
_MOST_FIELDS: Final = 256
_MOST_ATTRIBUTES: Final = 64
_MOST_SHAPES: Final = 256


@dataclass(frozen=True, slots=True)
class Shape:
    """Names and kinds of the fields seen: of the envelope, of ``data`` and of ``attributes``.

    ``attributes`` is None when there are too many names for columns; then they are read as JSON text.
    """

    envelope: Mapping[str, Kind] = field(default_factory=dict)
    data: Mapping[str, Kind] = field(default_factory=dict)
    attributes: Mapping[str, Kind] | None = field(default_factory=dict)

    @property
    def has_nul(self) -> bool:
        """Whether a name contains a NUL, which C strings cannot."""
        return any("\x00" in name for part in (self.envelope, self.data, self.attributes or {}) for name in part)

    @property
    def nested(self) -> bool:
        """Whether values may be objects or arrays."""
        return self.attributes is None or any(
            kind == "json" for part in (self.envelope, self.data, self.attributes) for kind in part.values()
        )

    def schema(self) -> dict[str, pl.DataType]:
        """The schema that polars reads a body with."""
        schema = {name: _DTYPES[kind] for name, kind in self.envelope.items()}
        schema["data"] = _struct(self.data)
        schema["attributes"] = pl.String() if self.attributes is None else _struct(self.attributes)
        return schema


def _struct(kinds: Mapping[str, Kind]) -> pl.DataType:
    # a struct needs a field; no JSON key of ours is called like this one by chance, and the proof counts it anyway
    fields = {name: _DTYPES[kind] for name, kind in kinds.items()}
    return pl.Struct(fields or {"\x00": pl.Boolean()})


class Shapes:
    """The shapes of the latest senders, at most so many; safe to use from several threads."""

    def __init__(self, most: int = _MOST_SHAPES) -> None:
        self._shapes: OrderedDict[object, Shape] = OrderedDict()
        self._most = most
        self._lock = Lock()

    def get(self, sender: object) -> Shape | None:
        """The shape last learnt of a sender."""
        with self._lock:
            shape = self._shapes.get(sender)
            if shape is not None:
                self._shapes.move_to_end(sender)
            return shape

    def put(self, sender: object, shape: Shape) -> None:
        """Remember a shape; the one that was not asked for longest is forgotten."""
        with self._lock:
            self._shapes[sender] = shape
            self._shapes.move_to_end(sender)
            while len(self._shapes) > self._most:
                self._shapes.popitem(last=False)


def learn(lines: Iterable[bytes], before: Shape | None) -> Shape:
    """The shape of these lines, together with what was known before as long as that is not too much."""
    envelope: dict[str, Kind] = dict(before.envelope) if before else {}
    data: dict[str, Kind] = dict(before.data) if before else {}
    attributes: dict[str, Kind] | None = {} if before is None else _copy(before.attributes)
    for line in lines:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if not isinstance(value, dict):
            continue
        _merge(envelope, {name: item for name, item in value.items() if name in ENVELOPE})
        _merge(data, value.get("data"))
        if attributes is not None:
            _merge(attributes, value.get("attributes"))
            if len(attributes) > _MOST_ATTRIBUTES:
                attributes = None
    if len(data) > _MOST_FIELDS:
        return learn(lines, None) if before else Shape(envelope, _first(data), attributes)
    return Shape(envelope, data, attributes)


def _copy(kinds: Mapping[str, Kind] | None) -> dict[str, Kind] | None:
    return None if kinds is None else dict(kinds)


def _first(kinds: dict[str, Kind]) -> dict[str, Kind]:
    return dict(list(kinds.items())[:_MOST_FIELDS])


def _merge(kinds: dict[str, Kind], values: Any) -> None:
    if not isinstance(values, dict):
        return
    for name, value in values.items():
        if value is not None:
            kind = _kind(name, value)
            known = kinds.get(name, kind)
            if known != kind or name not in kinds:
                kinds[name] = kind if known == kind else _either(name, known, kind)


def _kind(name: str, value: Any) -> Kind:
    match value:
        case bool():
            return "bool"
        case int():
            return "float" if name in FIELDS and FIELDS[name].stored.arrow == "float64" else "int"
        case float():
            return "float"
        case str():
            return "text"
        case _:
            return "json"


def _either(name: str, one: Kind, other: Kind) -> Kind:
    """The kind of a field of two kinds; where they cannot be read as one, rows of the odd kind go one by one."""
    if {one, other} == {"int", "float"}:
        return "float"
    if {one, other} == {"text", "json"}:
        return "json"
    right = _RIGHT.get(FIELDS[name].stored.arrow) if name in FIELDS else None
    return other if other == right else one


_RIGHT: Final[Mapping[str, Kind]] = {"string": "text", "int64": "int", "float64": "float", "bool": "bool"}
