"""Lines of JSON with values inside values → lines that the strict reader takes.

What is nested becomes text that holds JSON, and contents leave the line: nobody asks for them by name. Where some type
needs them, a mark is left. All is written by the parser of the row path, so nothing can be read in two ways, whatever
escapes or spaces the sender used.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
import pyarrow as pa

from ingest.decode.learn import Kind, Shape
from ingest.decode.shape import BODY_FIELDS, NEEDED_BODY_FIELDS

#: The row path says what is wrong with such a line.
_NO_EVENT: Final = (orjson.JSONDecodeError, orjson.JSONEncodeError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Flat:
    """Flat lines, their contents as JSON text beside them, and where each was among the lines given.

    ``shape`` is what the strict reader finds in the lines.
    """

    shape: Shape
    lines: Sequence[bytes]
    bodies: Sequence[bytes | None]
    places: Sequence[int]

    def take(self, rows: Sequence[int]) -> "Flat":
        """Some of the lines."""
        return Flat(
            self.shape,
            [self.lines[row] for row in rows],
            [self.bodies[row] for row in rows],
            [self.places[row] for row in rows],
        )

    def contents(self) -> pa.Array:
        """The contents as a column."""
        return pa.array(self.bodies, pa.string())


def flatten(lines: Sequence[bytes], shape: Shape) -> Flat:
    """Flatten lines that were learnt to have a shape; those that are no events are left out."""
    flat_lines, bodies, places = list[bytes](), list[bytes | None](), list[int]()
    flat = _flattener(shape)
    for place, line in enumerate(lines):
        try:
            value = orjson.loads(line)
            body, changed = flat(value)
            flat_lines.append(orjson.dumps(value) if changed else line)
        except _NO_EVENT:
            continue
        bodies.append(body)
        places.append(place)
    data: dict[str, Kind] = {name: kind for name, kind in shape.data.items() if name not in BODY_FIELDS}
    data |= dict.fromkeys(NEEDED_BODY_FIELDS.intersection(shape.data), "bool")
    return Flat(Shape(shape.envelope, data, shape.attributes), flat_lines, bodies, places)


def _flattener(shape: Shape) -> Callable[[Any], tuple[bytes | None, bool]]:
    """A function that changes an event in place; it returns the contents, and whether it changed anything."""
    contents = sorted(BODY_FIELDS.intersection(shape.data))
    nested = [name for name, kind in shape.data.items() if kind == "json" and name not in BODY_FIELDS]
    envelope = [name for name, kind in shape.envelope.items() if kind == "json"]
    attributes = [name for name, kind in (shape.attributes or {}).items() if kind == "json"]

    def flat(event: Any) -> tuple[bytes | None, bool]:
        if not isinstance(event, dict):
            raise TypeError
        data = event.get("data")
        body: dict[str, Any] = {}
        changed = False
        if isinstance(data, dict):
            for name in contents:
                if name in data:
                    changed = True
                    item = data.pop(name)
                    if item is not None:
                        body[name] = item
                        if name in NEEDED_BODY_FIELDS:
                            data[name] = True
            changed |= bool(nested) and _as_text(data, nested)
        if envelope:
            changed |= _as_text(event, envelope)
        if shape.attributes is None:
            changed |= _as_text(event, ("attributes",))
        elif attributes and isinstance(event.get("attributes"), dict):
            changed |= _as_text(event["attributes"], attributes)
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS) if body else None, changed

    return flat


def _as_text(values: dict[str, Any], names: Sequence[str]) -> bool:
    """Write some of an object's values as JSON text; whether there was one."""
    changed = False
    for name in names:
        item = values.get(name)
        if item is not None:
            values[name] = orjson.dumps(item, option=orjson.OPT_SORT_KEYS).decode()
            changed = True
    return changed
