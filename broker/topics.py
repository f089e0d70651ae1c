"""The hub's own topics, and those of other regions that are mirrored to it."""

import re
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from broker.log import TopicConfig

EVENTS = "hub.events"
METRICS = "hub.metrics"
SIGNALS = "hub.signals"
INCIDENTS = "hub.incidents"
DEAD_LETTERS = "hub.dead_letters"
#: What live pages show, from streams of one process to pages of another.
PULSE = "hub.pulse"
#: What has become of dead letters; outlives each of them.
DEAD_LETTER_STATES = "hub.dead_letter_states"
DEAD_LETTER_STATES_KEPT = timedelta(days=8)

#: Header of a record of events: the region that took it in. It travels with the record, whoever copies it.
REGION_HEADER: Final = "region"

_HOUR = 3600.0
_DAY = 24 * _HOUR

_REGION: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
#: Lanes of one topic, one for each partition. What is not the hub's own has one of so many codes: positions stay below
#: 2^63, as databases have signed integers.
LANES_OF_A_TOPIC: Final = 1024
_CODES: Final = 31


def hub_topics(
    partitions: int, *, events_bytes: int | None = None, events_hours: float = 72.0, mirrors: Sequence[str] = ()
) -> tuple[TopicConfig, ...]:
    """Every topic of the hub with its retention.

    Parameters
    ----------
    partitions
        Of events and metrics, chosen when the hub is created. The small topics have one: total order.
    events_bytes, events_hours
        Size limit of each partition of the events, and how long they are kept.
    mirrors
        Other regions whose events are copied here: as many partitions as the hub's own.
    """
    return (
        *(
            TopicConfig(topic, partitions, retention_s=events_hours * _HOUR, retention_bytes=events_bytes)
            for topic in events_topics(mirrors)
        ),
        TopicConfig(METRICS, partitions, retention_s=2 * _DAY),
        TopicConfig(SIGNALS, 1, retention_s=7 * _DAY),
        TopicConfig(INCIDENTS, 1, retention_s=7 * _DAY),
        TopicConfig(DEAD_LETTERS, 1, retention_s=7 * _DAY),
        TopicConfig(PULSE, 1, retention_s=_HOUR),
        TopicConfig(DEAD_LETTER_STATES, 1, retention_s=DEAD_LETTER_STATES_KEPT.total_seconds()),
    )


def region(name: str) -> str:
    """The name of a region if it is one; raises ``ValueError``."""
    if not _REGION.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a region: it has 1 to 32 small letters, digits and - inside")
    return name


def events_topics(mirrors: Sequence[str] = ()) -> tuple[str, ...]:
    """The hub's own topic of events, and those that MirrorMaker 2 brings from other regions under their names.

    Examples
    --------
    >>> events_topics(["eu"])
    ('hub.events', 'eu.hub.events')
    """
    return (EVENTS, *(f"{name}.{EVENTS}" for name in mirrors))


def place_name(topic: str, partition: int) -> str:
    """A partition of events as metrics and messages call it.

    Examples
    --------
    >>> place_name("hub.events", 3), place_name("eu.hub.events", 3)
    ('3', 'eu.3')
    """
    return f"{topic.removesuffix(EVENTS)}{partition}"


def lane(topic: str, partition: int) -> int:
    """The lane of a partition of events: what its rows are numbered and rolled up by, apart from all others.

    A function of the names alone, so that it stays the same whatever else is configured: the hub's own topic has the
    lanes below 1024, each region 1024 others.

    Examples
    --------
    >>> lane("hub.events", 3)
    3
    >>> lane("eu.hub.events", 3) == 1024 * code("eu") + 3
    True
    """
    name = topic.removesuffix(EVENTS).removesuffix(".")
    return partition + LANES_OF_A_TOPIC * (code(name) if name else 0)


def code(name: str) -> int:
    """The number of a region among lanes: 1 to 31."""
    return 1 + zlib.crc32(name.encode()) % _CODES


def lanes(mirrors: Sequence[str], partitions: int) -> tuple[int, ...]:
    """All lanes of a hub."""
    return tuple(lane(topic, number) for topic in events_topics(mirrors) for number in range(partitions))


def parse_mirrors(text: str) -> tuple[str, ...]:
    """Names of regions between commas; raises ``ValueError``.

    Examples
    --------
    >>> parse_mirrors("us, eu")
    ('us', 'eu')
    """
    names = tuple(region(name.strip()) for name in text.split(",")) if text.strip() else ()
    seen: dict[int, str] = {}
    for name in names:
        if (other := seen.get(code(name))) == name:
            raise ValueError(f"region {name!r} is named twice")
        if other is not None:
            raise ValueError(f"regions {other!r} and {name!r} have the same code: call one of them otherwise")
        seen[code(name)] = name
    return names
