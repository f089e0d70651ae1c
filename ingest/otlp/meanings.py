"""The tables of all dialects as one, made once."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ingest.otlp.dialects import DIALECTS
from ingest.otlp.dialects.dialect import Convert, Field


def _fields() -> dict[str, tuple[int, Field]]:
    found: dict[str, tuple[int, Field]] = {}
    for dialect in DIALECTS:
        for name, field in dialect.fields.items():
            if name not in found:
                found[name] = len(found), Field(field) if isinstance(field, str) else field
    return found


#: Attribute → its rank (the least counts first) and its field.
FIELDS: Final[Mapping[str, tuple[int, Field]]] = MappingProxyType(_fields())

#: Attribute → its values → event type, and kind of span behind a slash; the first attribute counts first.
TYPES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {name: types for dialect in DIALECTS for name, types in dialect.types.items()}
)

#: Attribute whose presence tells the event type → that type.
SIGNS: Final[Mapping[str, str]] = MappingProxyType(
    {name: event_type for dialect in DIALECTS for name, event_type in dialect.signs.items()}
)

#: Attribute that holds an object → its members that are fields.
OBJECTS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {name: members for dialect in DIALECTS for name, members in dialect.objects.items()}
)

#: Attribute that holds an object → what makes fields of the object.
READERS: Final[Mapping[str, Convert]] = MappingProxyType(
    {name: reader for dialect in DIALECTS for name, reader in dialect.readers.items()}
)

#: Prefix of flattened lists → field.
MESSAGES: Final[Mapping[str, str]] = MappingProxyType(
    {prefix: field for dialect in DIALECTS for prefix, field in dialect.messages.items()}
)

#: Words of flattened names that say nothing.
WRAPPERS: Final[frozenset[str]] = frozenset().union(*(dialect.wrappers for dialect in DIALECTS))

#: Name of a span's event → field, and role.
EVENTS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {name: event for dialect in DIALECTS for name, event in dialect.events.items()}
)

#: Names of events that mark the first token.
FIRST_TOKEN: Final[frozenset[str]] = frozenset().union(*(dialect.first_token for dialect in DIALECTS))
