"""What ``kafka://host:9092,host:9092/topic`` names."""

import re
from typing import Final, NamedTuple

_ADDRESS: Final = re.compile(r"kafka://(?P<servers>[^/\s@?#]+)(/(?P<topic>[\w.-]{1,249})?)?$", re.ASCII)
#: Where events go that name no topic.
TOPIC: Final = "llm.events"
#: Brokers take a record of 1 MiB unless told otherwise, and its frame counts.
MOST_BYTES: Final = 1_000_000


class Address(NamedTuple):
    """Brokers, and a topic."""

    servers: list[str]
    topic: str


def address_of(url: str) -> Address | None:
    """The address of a URL; None if it is none of Kafka.

    Examples
    --------
    >>> address_of("kafka://a:9092,b/acme.events")
    Address(servers=['a:9092', 'b:9092'], topic='acme.events')
    >>> address_of("kafka://a").topic
    'llm.events'
    >>> address_of("https://hub.example.com") is None
    True
    """
    found = _ADDRESS.match(url)
    if found is None:
        return None
    servers = [server if ":" in server else f"{server}:9092" for server in found["servers"].split(",") if server]
    return Address(servers, found["topic"] or TOPIC) if servers else None
