"""The hub's own topics."""

from datetime import timedelta

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

_HOUR = 3600.0
_DAY = 24 * _HOUR


def hub_topics(
    partitions: int, *, events_bytes: int | None = None, events_hours: float = 72.0
) -> tuple[TopicConfig, ...]:
    """Every topic of the hub with its retention.

    Parameters
    ----------
    partitions
        Of events and metrics, chosen when the hub is created. The small topics have one: total order.
    events_bytes, events_hours
        Size limit of each partition of the events, and how long they are kept.
    """
    return (
        TopicConfig(EVENTS, partitions, retention_s=events_hours * _HOUR, retention_bytes=events_bytes),
        TopicConfig(METRICS, partitions, retention_s=2 * _DAY),
        TopicConfig(SIGNALS, 1, retention_s=7 * _DAY),
        TopicConfig(INCIDENTS, 1, retention_s=7 * _DAY),
        TopicConfig(DEAD_LETTERS, 1, retention_s=7 * _DAY),
        TopicConfig(PULSE, 1, retention_s=_HOUR),
        TopicConfig(DEAD_LETTER_STATES, 1, retention_s=DEAD_LETTER_STATES_KEPT.total_seconds()),
    )
