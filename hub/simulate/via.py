"""Every door, and how events are said at it: one table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import orjson

from core.errors import SettingsError
from hub.sender import NDJSON
from hub.simulate.config import Event
from hub.simulate.encode import to_ndjson


@dataclass(frozen=True, slots=True)
class Body:
    """One request: ``path`` is the door's."""

    content: bytes
    path: str = "/v1/events"
    content_type: str = NDJSON


#: The requests that say the same as these events.
Speech = Callable[[Sequence[Event]], list[Body]]


def events(batch: Sequence[Event]) -> list[Body]:
    """The hub's own form, as lines."""
    return [Body(to_ndjson(batch))]


def cloudevents(batch: Sequence[Event]) -> list[Body]:
    """A batch of CloudEvents; names of the envelope are extensions, which are written without ``_``."""
    written = []
    for event in batch:
        extensions = {name.replace("_", ""): value for name, value in event.items() if name not in ("data", "source")}
        attributes = extensions.pop("attributes", {})
        source = f"/simulator/{event['source']}"
        written.append({**attributes, **extensions, "specversion": "1.0", "source": source, "data": event["data"]})
    return [Body(orjson.dumps(written), content_type="application/cloudevents-batch+json")]


def adapters(batch: Sequence[Event]) -> list[Body]:
    """The rows of each module, to that module's adapter."""
    from ingest.adapters import writer_of  # with the doors come pyarrow and polars

    rows: dict[str, list[Event]] = {}
    for event in batch:
        module, form = writer_of(event)
        rows.setdefault(module, []).append(form.write(event))
    return [Body(to_ndjson(some), f"/v1/adapters/{module}") for module, some in rows.items()]


#: Name of a door for ``--via`` → how it is spoken to.
VIA: Final[Mapping[str, Speech]] = MappingProxyType(
    {"events": events, "cloudevents": cloudevents, "adapters": adapters}
)


def speech(name: str) -> Speech:
    """How the door of that name is spoken to.

    Raises
    ------
    SettingsError
        There is none; the known ones are named.
    """
    if name not in VIA:
        raise SettingsError(f"--via {name!r} is no door of the simulator; the doors are {', '.join(VIA)}")
    return VIA[name]
