"""Every door, and how events are said at it: one table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import orjson

from core.errors import SettingsError
from hub.sender import NDJSON, PROTOBUF
from hub.simulate.config import Event
from hub.simulate.encode import to_ndjson


@dataclass(frozen=True, slots=True)
class Body:
    """One request: ``path`` is the door's, ``items`` how many events it holds."""

    content: bytes
    path: str = "/v1/events"
    content_type: str = NDJSON
    items: int = 0


#: The requests that say the same as these events.
Speech = Callable[[Sequence[Event]], list[Body]]

#: The door that is no request of ours: the SDK in this process, see :class:`hub.simulate.sdk_sink.SdkSink`.
SDK: Final = "sdk"


def events(batch: Sequence[Event]) -> list[Body]:
    """The hub's own form, as lines."""
    return [Body(to_ndjson(batch), items=len(batch))]


def otlp(batch: Sequence[Event]) -> list[Body]:
    """Spans, lines and points in protobuf; what has no form there, as the hub's own lines."""
    from hub.simulate.otlp import SIGNALS  # with the doors come pyarrow and polars

    bodies, left = [], list(batch)
    for path, (takes, write) in SIGNALS.items():
        mine = [event for event in left if takes(event)]
        left = [event for event in left if not takes(event)]
        if mine:
            bodies.append(Body(write(mine), path, PROTOBUF, len(mine)))
    return bodies + (events(left) if left else [])


def cloudevents(batch: Sequence[Event]) -> list[Body]:
    """A batch of CloudEvents; names of the envelope are extensions, which are written without ``_``."""
    written = []
    for event in batch:
        extensions = {name.replace("_", ""): value for name, value in event.items() if name not in ("data", "source")}
        attributes = extensions.pop("attributes", {})
        source = f"/simulator/{event['source']}"
        written.append({**attributes, **extensions, "specversion": "1.0", "source": source, "data": event["data"]})
    return [Body(orjson.dumps(written), content_type="application/cloudevents-batch+json", items=len(batch))]


def adapters(batch: Sequence[Event]) -> list[Body]:
    """The rows of each module, to that module's adapter."""
    from ingest.adapters import writer_of  # with the doors come pyarrow and polars

    rows: dict[str, list[Event]] = {}
    for event in batch:
        module, form = writer_of(event)
        rows.setdefault(module, []).append(form.write(event))
    return [Body(to_ndjson(some), f"/v1/adapters/{module}", items=len(some)) for module, some in rows.items()]


#: Name of a door for ``--via`` → how it is spoken to.
VIA: Final[Mapping[str, Speech]] = MappingProxyType(
    {"events": events, "otlp": otlp, "cloudevents": cloudevents, "adapters": adapters}
)
#: Every door of the simulator.
DOORS: Final = (*VIA, SDK)


def speech(name: str) -> Speech:
    """How the door of that name is spoken to.

    Raises
    ------
    SettingsError
        There is none; the known ones are named.
    """
    if name not in VIA:
        raise SettingsError(f"--via {name!r} is no door of the simulator; the doors are {', '.join(DOORS)}")
    return VIA[name]
