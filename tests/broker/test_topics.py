"""The hub's own topics."""

from broker.topics import EVENTS, hub_topics


def test_the_settings_are_those_of_the_events() -> None:
    events, *others = hub_topics(4, events_bytes=1 << 20, events_hours=5)
    assert (events.name, events.partitions, events.retention_s, events.retention_bytes) == (
        EVENTS,
        4,
        5 * 3600,
        1 << 20,
    )
    assert others == [*hub_topics(4)[1:]]
