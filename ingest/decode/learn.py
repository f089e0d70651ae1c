"""The shape of a sender's events, so that the next body can be read with a fixed schema."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Literal

from schemas.columns import FIELDS
from schemas.envelope import Envelope

#: ``json``: objects, arrays, or these and others. ``null``: nothing yet but null, which some senders write for all that
#: they have no value of.
Kind = Literal["text", "int", "float", "bool", "json", "null"]

#: Names of the envelope that have single values.
ENVELOPE: Final = frozenset(Envelope.model_fields) - {"data", "attributes"}
MOST_FIELDS: Final = 256
MOST_ATTRIBUTES: Final = 64
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


def merged(before: Shape | None, found: Shape) -> Shape:
    """What was known of a sender together with what was found, as long as that is not too much."""
    if before is None:
        return found
    data = _merged(before.data, found.data)
    if len(data) > MOST_FIELDS:
        return found
    attributes = None
    if before.attributes is not None and found.attributes is not None:
        attributes = _merged(before.attributes, found.attributes)
        if len(attributes) > MOST_ATTRIBUTES:
            attributes = None
    return Shape(_merged(before.envelope, found.envelope), data, attributes)


def _merged(before: Mapping[str, Kind], found: Mapping[str, Kind]) -> dict[str, Kind]:
    both = {name: either(name, kind, found[name]) for name, kind in before.items() if name in found}
    return {**before, **found, **both}


def kind_of(name: str, value: type) -> Kind:
    """The kind of a field with a value of this Python type."""
    if value is int and name in FIELDS and FIELDS[name].stored.arrow == "float64":
        return "float"
    return _KINDS.get(value, "json")


def either(name: str, one: Kind, other: Kind) -> Kind:
    """The kind of a field of two kinds; where they cannot be read as one, rows of the odd kind go one by one."""
    if other in (one, "null"):
        return one
    if one == "null":
        return other
    if {one, other} == {"int", "float"}:
        return "float"
    right = _RIGHT.get(FIELDS[name].stored.arrow) if name in FIELDS else None
    if right in (one, other):
        return right
    return "json" if "json" in (one, other) else one


_KINDS: Final[Mapping[type, Kind]] = {bool: "bool", int: "int", float: "float", str: "text"}
_RIGHT: Final[Mapping[str, Kind]] = {"string": "text", "int64": "int", "float64": "float", "bool": "bool"}
