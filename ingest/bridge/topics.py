"""Which topics the bridge reads, as the operator writes it."""

import re
from collections.abc import Mapping
from typing import Final

_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: What Kafka takes for the name of a topic.
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


def parse_topics(text: str) -> Mapping[str, str]:
    """Topic → tenant, written as ``TENANT=TOPIC``, or ``TOPIC`` for the tenant ``default``, between spaces or commas.

    Raises
    ------
    ValueError
        One is no such thing, or a topic of the hub's own, or comes twice; says which.

    Examples
    --------
    >>> dict(parse_topics("llm.events, acme=acme.events"))
    {'llm.events': 'default', 'acme.events': 'acme'}
    """
    found: dict[str, str] = {}
    for one in re.split(r"[,\s]+", text):
        if not one:
            continue
        left, equals, right = one.partition("=")
        tenant, topic = (left, right) if equals else ("default", left)
        if not _TENANT.fullmatch(tenant) or not _TOPIC.fullmatch(topic):
            raise ValueError(f"{one!r} must be TENANT=TOPIC or TOPIC")
        if topic.startswith("hub."):
            raise ValueError(f"{topic!r} is a topic of the hub's own")
        if topic in found:
            raise ValueError(f"{topic!r} comes twice: a topic belongs to one tenant")
        found[topic] = tenant
    return found
