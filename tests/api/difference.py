"""What changed between two OpenAPI documents, and what of it breaks somebody.

What a caller sends may become more, never less or stricter; what a caller is sent may have more, never less or other.
``python -m tests.api.difference OLD.json NEW.json`` tells all of it, and exits 1 where something breaks.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

Direction = Literal["sent", "answered"]
Schema = Mapping[str, Any]

_METHODS: Final = ("get", "put", "post", "delete", "patch", "head", "options")
#: Keyword → whether the new value of it lets less through than the old one.
_BOUNDS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems"), lambda old, new: new > old),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems"), lambda old, new: new < old),
    "pattern": lambda old, new: new != old,
    "format": lambda old, new: new != old,
}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference."""

    breaking: bool
    place: str
    text: str

    def __str__(self) -> str:
        return f"{'BREAKS' if self.breaking else 'adds  '}  {self.place}: {self.text}"


def difference(old: Schema, new: Schema) -> list[Change]:
    """Every change that matters to callers, those that break first."""
    return sorted(set(_Comparison(old, new).paths()), key=lambda change: (not change.breaking, change.place))


class _Comparison:
    def __init__(self, old: Schema, new: Schema) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str, Direction]] = set()

    def paths(self) -> Iterator[Change]:
        """Paths and their methods."""
        old, new = _operations(self._old), _operations(self._new)
        for name in sorted(old.keys() - new.keys()):
            yield Change(True, name, "is gone")
        for name in sorted(new.keys() - old.keys()):
            yield Change(False, name, "is new")
        for name in sorted(old.keys() & new.keys()):
            yield from self._operation(name, old[name], new[name])

    def _operation(self, name: str, old: Schema, new: Schema) -> Iterator[Change]:
        yield from self._parameters(name, old, new)
        before, after = self._body(self._old, old), self._body(self._new, new)
        if after.get("required") and not before.get("required"):
            yield Change(True, f"{name} body", "is required now")
        yield from self._contents(f"{name} body", before, after, "sent")
        for status in sorted(old.get("responses", {})):
            if status not in new.get("responses", {}):
                if status.startswith("2"):
                    yield Change(True, f"{name} {status}", "is gone")
                continue
            pair = old["responses"][status], new["responses"][status]
            yield from self._contents(f"{name} {status}", *pair, "answered")

    def _parameters(self, name: str, old: Schema, new: Schema) -> Iterator[Change]:
        before, after = _parameters(old), _parameters(new)
        for key in sorted(before.keys() - after.keys()):
            yield Change(True, f"{name} {key}", "is gone")
        for key in sorted(after.keys() - before.keys()):
            required = bool(after[key].get("required"))
            yield Change(required, f"{name} {key}", "is new and required" if required else "is new")
        for key in sorted(before.keys() & after.keys()):
            if after[key].get("required") and not before[key].get("required"):
                yield Change(True, f"{name} {key}", "is required now")
            schemas = before[key].get("schema", {}), after[key].get("schema", {})
            yield from self._schema(f"{name} {key}", *schemas, "sent")

    def _contents(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
        before, after = old.get("content", {}), new.get("content", {})
        for kind in sorted(before.keys() - after.keys()):
            yield Change(True, f"{place} {kind}", "is gone")
        for kind in sorted(before.keys() & after.keys()):
            yield from self._schema(place, before[kind].get("schema", {}), after[kind].get("schema", {}), direction)

    def _schema(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
        seen = (str(old.get("$ref", id(old))), str(new.get("$ref", id(new))), direction)
        if seen in self._seen and "$ref" in old:
            return
        self._seen.add(seen)
        old, new = _resolved(self._old, old), _resolved(self._new, new)
        yield from self._kinds(place, old, new, direction)
        old, new = _without_null(self._old, old), _without_null(self._new, new)
        yield from self._bounds(place, old, new, direction)
        yield from self._properties(place, old, new, direction)
        if "items" in old and "items" in new:
            yield from self._schema(f"{place}[]", old["items"], new["items"], direction)

    def _kinds(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
        """Types and choices: what is sent may not lose one, what is answered may not gain one."""
        for what, kinds in (("type", self._types), ("choice", _choices)):
            before, after = kinds(self._old, old), kinds(self._new, new)
            if not before and not after:
                continue
            lost = (before - after) if direction == "sent" else (after - before if what == "type" else before - after)
            if (not before and direction == "sent") or (not after and direction == "answered" and before):
                lost = lost | {"anything"}
            gained = (after if direction == "sent" else before) == set()
            if lost and not gained:
                word = "no longer takes" if direction == "sent" else "changed its"
                yield Change(True, place, f"{word} {what} {', '.join(sorted(lost))}")

    def _types(self, document: Schema, schema: Schema) -> set[str]:
        """The JSON types that a schema lets through; empty for any. Whole numbers are numbers."""
        found: set[str] = set()
        for one in schema.get("anyOf", schema.get("oneOf", [])):
            kinds = self._types(document, _resolved(document, one))
            if not kinds:
                return set()
            found |= kinds
        kinds = schema.get("type", [])
        found |= {kinds} if isinstance(kinds, str) else set(kinds)
        return found | ({"integer"} if "number" in found else set())

    def _bounds(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
        if direction == "answered":
            return
        for name, is_narrower in _BOUNDS.items():
            if name in new and (name not in old or is_narrower(old[name], new[name])):
                yield Change(True, place, f"{name} is {new[name]!r} now, was {old.get(name, 'not there')!r}")

    def _properties(self, place: str, old: Schema, new: Schema, direction: Direction) -> Iterator[Change]:
        properties, others = old.get("properties", {}), new.get("properties", {})
        before, after = set(old.get("required", [])), set(new.get("required", []))
        closed = direction == "answered" or new.get("additionalProperties") is False
        for name in sorted(properties.keys() - others.keys()):
            yield Change(closed, f"{place}.{name}", "is gone")
        for name in sorted(others.keys() - properties.keys()):
            breaks = direction == "sent" and name in after
            yield Change(breaks, f"{place}.{name}", "is new and required" if breaks else "is new")
        for name in sorted(properties.keys() & others.keys()):
            if direction == "sent" and name in after - before:
                yield Change(True, f"{place}.{name}", "is required now")
            if direction == "answered" and name in before - after:
                yield Change(True, f"{place}.{name}", "may be missing now")
            yield from self._schema(f"{place}.{name}", properties[name], others[name], direction)

    def _body(self, document: Schema, operation: Schema) -> Schema:
        return _resolved(document, operation.get("requestBody", {}))


def _operations(document: Schema) -> dict[str, Schema]:
    return {
        f"{method.upper()} {path}": item[method]
        for path, item in document["paths"].items()
        for method in _METHODS
        if method in item
    }


def _parameters(operation: Schema) -> dict[str, Schema]:
    return {f"{one['in']} {one['name']}": one for one in operation.get("parameters", [])}


def _resolved(document: Schema, schema: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part.replace("~1", "/").replace("~0", "~")]
        schema = found
    return schema


def _choices(document: Schema, schema: Schema) -> set[str]:
    """The values that a schema lets through; empty for any."""
    if "const" in schema:
        return {json.dumps(schema["const"])}
    parts = [_resolved(document, one) for one in schema.get("anyOf", schema.get("oneOf", []))]
    chosen = [_choices(document, one) for one in parts if one.get("type") != "null"]
    if chosen and all(chosen):
        return set().union(*chosen)
    return {json.dumps(value) for value in schema.get("enum", [])}


def _without_null(document: Schema, schema: Schema) -> Schema:
    """What a schema is when it is not null, as long as that is one thing."""
    parts = [_resolved(document, one) for one in schema.get("anyOf", schema.get("oneOf", []))]
    others = [one for one in parts if one.get("type") != "null"]
    return others[0] if len(others) == 1 else schema


def main(old: Path, new: Path) -> int:
    found = difference(json.loads(old.read_text()), json.loads(new.read_text()))
    print("\n".join(map(str, found)) or "nothing changed")
    return int(any(change.breaking for change in found))


if __name__ == "__main__":
    raise SystemExit(main(*map(Path, sys.argv[1:3])))
