"""What can be tuned about the streams."""

from dataclasses import dataclass, field
from pathlib import Path

from broker.topics import events_topics
from streams.steps.dedupe import Window


@dataclass(frozen=True, slots=True)
class StreamsConfig:
    """Names, sizes and times.

    Parameters
    ----------
    broker_url
        As in the settings: ``sqlite:////…`` or ``kafka://…``.
    group
        Consumer group; the same in every process that shares the work.
    partitions
        Of ``hub.events``.
    mirrors
        Other regions whose events are mirrored to this log, in as many partitions.
    data_dir
        Where Faust may keep files.
    linger_s
        How long a block gathers at most, however small it is.
    block_rows
        Rows of one insert at most.
    backlog_blocks
        When events wait, so many blocks are taken at a time: one is prepared while the one before is inserted.
    window
        How far back a repetition is recognised.
    retry_s, retry_max_s
        First and longest pause before a block is stored again after a failure, before jitter.
    poison_in_a_row
        With more records in a row that are no events the worker stops: something is wrong that no skipping cures.
    exit_on_give_up
        End the process then (a worker of the scaled-out hub, which is started anew) instead of only saying so.
    session_timeout_s
        After which a dead worker's partitions are given to another.
    stall_s
        For how long a partition may not move while records wait in it.
    watch_s
        How often lag and watermark are looked at.
    """

    broker_url: str = field(repr=False)
    group: str = "llm-hub-streams"
    partitions: int = 1
    mirrors: tuple[str, ...] = ()
    data_dir: Path = field(default_factory=Path.cwd)
    linger_s: float = 0.2
    block_rows: int = 100_000
    backlog_blocks: int = 4
    window: Window = field(default_factory=Window)
    retry_s: float = 0.1
    retry_max_s: float = 10.0
    poison_in_a_row: int = 1000
    exit_on_give_up: bool = False
    session_timeout_s: float = 8.0
    stall_s: float = 60.0
    watch_s: float = 0.25

    @property
    def topics(self) -> tuple[str, ...]:
        """What the streams read: the hub's own events first."""
        return events_topics(self.mirrors)
