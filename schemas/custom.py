"""Event types of a tenant's own: a name, and JSON Schemas (2020-12) of ``data`` by version.

A schema comes from outside and is run on every event, so what it may be is bounded: known keywords only, no references
but to its own ``$defs`` and none in circles, patterns of an engine that takes linear time, and a size.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs
import orjson

from core.errors import Unprocessable
from schemas.catalogue import EVENT_TYPES
from schemas.compatibility import ANNOTATIONS

MAX_BYTES: Final = 64 << 10
MAX_DEPTH: Final = 16
#: Subschemas once every reference is followed.
MAX_NODES: Final = 2_000
_MAX_PATTERN: Final = 500

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9][a-z0-9_-]*){1,5}")
_NAME_LENGTH: Final = 100
_VERSION: Final = re.compile(r"(\d{1,6})\.(\d{1,6})", re.ASCII)
#: What the hub's own types begin with, now and later.
RESERVED: Final = frozenset({name.split(".")[0] for name in EVENT_TYPES} | {"hub", "llm_hub", "gen_ai"})

_SCHEMA: Final = frozenset(("items", "additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"))
_SCHEMAS: Final = frozenset(("anyOf", "oneOf", "allOf", "prefixItems"))
_NAMED: Final = frozenset(("properties", "patternProperties", "dependentSchemas", "$defs"))
_PLAIN: Final = frozenset(
    ("type", "enum", "const", "required", "dependentRequired", "uniqueItems", "multipleOf", "pattern", "format", "$ref")
) | {f"{side}{what}" for side in ("min", "max") for what in ("imum", "Length", "Items", "Properties", "Contains")}
_LIMITS: Final = frozenset(("exclusiveMinimum", "exclusiveMaximum"))
_KEYWORDS: Final = (_SCHEMA | _SCHEMAS | _NAMED | _PLAIN | _LIMITS | ANNOTATIONS) - {"$id"}
#: Formats that are checked; each takes linear time.
_FORMATS: Final = frozenset(
    ("date-time", "date", "time", "email", "uuid", "uri", "ipv4", "ipv6", "hostname", "duration")
)

Version = tuple[int, int]


class Misfit(Exception):
    """Data that a schema does not take: which field, and why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TenantType:
    """A type of a tenant's own, ready to be asked. Thread-safe.

    Parameters
    ----------
    name
        The event type.
    documents
        Version → its JSON Schema of ``data``.
    validators
        The same, compiled.
    """

    name: str
    documents: Mapping[Version, Mapping[str, Any]]
    validators: Mapping[Version, "jsonschema_rs.Draft202012Validator"]

    @property
    def newest(self) -> Version:
        """The version of events that name none."""
        return max(self.documents)

    def check(self, version: str | None, data: Mapping[str, Any]) -> str:
        """The version that an event is kept as; raises :class:`Misfit` where its data is not as that version says.

        A minor version that is newer than the newest known is read by that one: what it adds is kept as it is.
        """
        wanted = self.newest if version is None else parse_version(version)
        known = [one for one in self.documents if wanted is not None and one[0] == wanted[0]]
        if wanted is None or not known:
            majors = ", ".join(sorted({f"{one[0]}.x" for one in self.documents}))
            raise Misfit("schema_version", f"{version!r} of {self.name} is not known; known are {majors}")
        read_by = wanted if wanted in self.documents else max(known)
        validator = self.validators[read_by]
        if not validator.is_valid(data):
            error = next(iter(validator.iter_errors(data)))
            raise Misfit(_field(error), _reason(error))
        return written(wanted)


def compiled(name: str, documents: Mapping[Version, Mapping[str, Any]]) -> TenantType:
    """A type with its schemas compiled."""
    return TenantType(name, documents, {version: _compile(document) for version, document in documents.items()})


def parse_version(text: str) -> Version | None:
    """``1.2`` as numbers; None where it is no version."""
    match = _VERSION.fullmatch(text)
    return None if match is None else (int(match[1]), int(match[2]))


def written(version: Version) -> str:
    """
    Examples
    --------
    >>> written((1, 2))
    '1.2'
    """
    return f"{version[0]}.{version[1]}"


def check_name(name: str) -> None:
    """Raise :class:`Unprocessable` unless a tenant may have a type of this name."""
    if not _NAME.fullmatch(name) or len(name) > _NAME_LENGTH:
        raise Unprocessable(
            f"type: {name[:100]!r} is no name of a type of your own: take two to six words of small letters, digits "
            "and '_' with dots between them, like 'checkout.cart_abandoned'.",
            field="type",
        )
    first = name.split(".")[0]
    if first in RESERVED:
        raise Unprocessable(f"type: {first!r} is a namespace of the hub; begin with a word of your own.", field="type")


def check_document(document: Any) -> None:
    """Raise :class:`Unprocessable` unless a document is a schema of ``data`` within the limits."""
    if not isinstance(document, dict) or document.get("type") != "object":
        raise _wrong("type", 'the schema is that of an event\'s data: it must say "type": "object"')
    try:
        size = len(orjson.dumps(document))
    except (orjson.JSONEncodeError, ValueError):
        raise _wrong("", "is nested too deeply, or holds text that is not Unicode") from None
    if size > MAX_BYTES:
        raise _wrong("", f"has {size} bytes, and may have {MAX_BYTES}")
    _Walk(document).all()
    try:
        _compile(document)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        path = ".".join(map(str, getattr(error, "instance_path", ())))
        told = str(getattr(error, "message", error)).splitlines()[0]
        raise _wrong(path, f"is no JSON Schema: {told[:200]}") from None


class _Walk:
    """Every subschema once for each way to it, so that what references blow up is counted as large as it is."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._nodes = 0

    def all(self) -> None:
        self._schema(self._document, "", 0, ())
        for name, one in self._document.get("$defs", {}).items():
            self._schema(one, f"$defs.{name}", 1, (name,))

    def _schema(self, schema: Any, path: str, depth: int, within: tuple[str, ...]) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _wrong("", f"has more than {MAX_NODES} subschemas, references followed")
        if depth > MAX_DEPTH:
            raise _wrong(path, f"is nested more than {MAX_DEPTH} deep, references followed")
        if isinstance(schema, bool):
            return
        if not isinstance(schema, dict):
            raise _wrong(path, "must be a schema: an object, true or false")
        for keyword, value in schema.items():
            self._keyword(keyword, value, path, depth)
        for name, inner in _inner(schema):
            self._schema(inner, f"{path}.{name}".lstrip("."), depth + 1, within)
        if "$ref" in schema:
            self._reference(schema["$ref"], path, depth, within)

    def _keyword(self, keyword: str, value: Any, path: str, depth: int) -> None:
        where = f"{path}.{keyword}".lstrip(".")
        if keyword not in _KEYWORDS or (keyword == "$defs" and depth):
            raise _wrong(where, "is no keyword that is taken here")
        if keyword in _NAMED and not isinstance(value, dict):
            raise _wrong(where, "must be an object of names and schemas")
        if keyword in _SCHEMAS and not isinstance(value, list):
            raise _wrong(where, "must be an array of schemas")
        if keyword == "format" and not (isinstance(value, str) and value in _FORMATS):
            raise _wrong(where, f"must be one of {', '.join(sorted(_FORMATS))}")
        patterns = value if keyword == "patternProperties" else [value] if keyword == "pattern" else []
        if any(isinstance(pattern, str) and len(pattern) > _MAX_PATTERN for pattern in patterns):
            raise _wrong(where, f"may have patterns of at most {_MAX_PATTERN} characters")

    def _reference(self, target: Any, path: str, depth: int, within: tuple[str, ...]) -> None:
        name = target.removeprefix("#/$defs/") if isinstance(target, str) else ""
        definitions = self._document.get("$defs", {})
        if target != f"#/$defs/{name}" or name not in definitions:
            raise _wrong(f"{path}.$ref".lstrip("."), "may only name one of the schema's own, as '#/$defs/NAME'")
        if name in within:
            raise _wrong(f"{path}.$ref".lstrip("."), "goes round in a circle")
        self._schema(definitions[name], path, depth + 1, (*within, name))


def _inner(schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The schemas directly within one, definitions aside."""
    for keyword, value in schema.items():
        if keyword in _SCHEMA:
            yield keyword, value
        elif keyword in _SCHEMAS:
            yield from ((f"{keyword}.{at}", one) for at, one in enumerate(value))
        elif keyword in _NAMED and keyword != "$defs":
            yield from ((f"{keyword}.{name}", one) for name, one in value.items())


def _compile(document: Mapping[str, Any]) -> "jsonschema_rs.Draft202012Validator":
    return jsonschema_rs.Draft202012Validator(
        dict(document),
        validate_formats=True,
        offline=True,
        mask="it",  # reasons are answered, logged and kept: they quote nothing of what was sent
        pattern_options=jsonschema_rs.RegexOptions(size_limit=1 << 20, dfa_size_limit=1 << 20),
    )


def _field(error: "jsonschema_rs.ValidationError") -> str:
    path = ["data", *map(str, error.instance_path)]
    missing = getattr(error.kind, "property", None)
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required) and missing is not None:
        path.append(str(missing).strip('"'))
    return ".".join(path)[:300]


def _reason(error: "jsonschema_rs.ValidationError") -> str:
    if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
        return "is required"
    return f"is not as its schema says: {error.message[:300]}"


def _wrong(path: str, reason: str) -> Unprocessable:
    field = f"schema.{path}".rstrip(".")[:300]
    return Unprocessable(f"{field}: {reason}.", field=field)
