"""The published JSON Schema of each event type: the envelope with the type's ``data`` inside, and an example."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from schemas.catalogue import EVENT_TYPES
from schemas.custom import TenantType, Version, written
from schemas.data import EventData
from schemas.envelope import Envelope

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXAMPLE_TIME = datetime(2026, 11, 20, 12, 0, 0, 123000, tzinfo=UTC)


@cache
def json_schema(event_type: str) -> dict[str, Any]:
    """The JSON Schema of a whole event of a type; raises ``KeyError`` for an unknown one."""
    model = EVENT_TYPES[event_type]
    envelope = Envelope.model_json_schema(mode="validation", ref_template="#/$defs/{model}")
    data = model.model_json_schema(mode="validation", ref_template="#/$defs/{model}")
    properties = {
        **envelope["properties"],
        "type": {"const": event_type, "description": "Event type."},
        "time": _time(envelope["properties"]["time"]),
        "data": _data(data),
    }
    return {
        "$schema": _DIALECT,
        "$id": f"urn:llm-hub:{event_type}:{model.VERSION}",
        "title": event_type,
        "description": (model.__doc__ or "").strip().splitlines()[0],
        "type": "object",
        "properties": properties,
        "required": [*envelope["required"], *(["data"] if data.get("required") else [])],
        "additionalProperties": False,
        "examples": [example(event_type)],
    }


def example(event_type: str) -> dict[str, Any]:
    """A whole event of a type, as a module would send it."""
    model = EVENT_TYPES[event_type]
    return {
        "id": "0192f0c1-0000-7000-8000-000000000001",
        "type": event_type,
        "source": model.SOURCE if model.SOURCE != "any" else "my-service",
        "time": _EXAMPLE_TIME.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "schema_version": model.VERSION,
        "project": "support-bot",
        "environment": "production",
        "data": dict(model.EXAMPLE),
    }


def summary(model: type[EventData]) -> dict[str, str]:
    """One line of the list of types."""
    return {
        "type": model.TYPE,
        "version": model.VERSION,
        "source": model.SOURCE,
        "description": (model.__doc__ or "").strip().splitlines()[0],
    }


def own_schema(own: TenantType, version: Version) -> dict[str, Any]:
    """The JSON Schema of a whole event of a tenant's own type: its schema within the envelope."""
    envelope = Envelope.model_json_schema(mode="validation", ref_template="#/$defs/{model}")
    document = dict(own.documents[version])
    definitions = document.pop("$defs", {})
    properties = {
        **envelope["properties"],
        "type": {"const": own.name, "description": "Event type."},
        "time": _time(envelope["properties"]["time"]),
        "data": document,
    }
    whole = {
        "$schema": _DIALECT,
        "$id": f"urn:llm-hub:{own.name}:{written(version)}",
        "title": own.name,
        "description": str(document.get("description", "An event type of your own.")),
        "type": "object",
        "properties": properties,
        "required": [*envelope["required"], *(["data"] if document.get("required") else [])],
        "additionalProperties": False,
    }
    return {**whole, "$defs": definitions} if definitions else whole


def own_summary(own: TenantType) -> dict[str, Any]:
    """One line of the list of types, of a tenant's own."""
    description = own.documents[own.newest].get("description", "An event type of your own.")
    return {
        "type": own.name,
        "version": written(own.newest),
        "versions": [written(version) for version in sorted(own.documents)],
        "source": "any",
        "description": str(description),
        "own": True,
    }


def _time(schema: dict[str, Any]) -> dict[str, Any]:
    """The model has a moment; on the wire it is text or a number."""
    return {
        "description": schema.get("description", ""),
        "oneOf": [{"type": "string", "format": "date-time"}, {"type": "number", "description": "Epoch milliseconds."}],
    }


def _data(schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": schema["properties"],
        "required": schema.get("required", []),
        "additionalProperties": True,
    }
