"""What this process knows of the topics: their partitions, and where each begins and ends."""

import sqlite3
from dataclasses import dataclass

from broker.embedded.schema import OFFSET_MASK, row_id
from broker.log import TopicConfig
from core.errors import NotFound


@dataclass(slots=True, eq=False)
class Partition:
    """A partition; ``earliest`` and ``next`` only ever show what is durable.

    ``size`` is the bytes of its values, ``compacted_to`` the end of the last compaction; both are the writer's.
    """

    id: int
    topic: str
    number: int
    earliest: int = 0
    next: int = 0
    size: int = 0
    compacted_to: int = 0


@dataclass(slots=True)
class Topic:
    """A topic and its partitions by number."""

    config: TopicConfig
    partitions: list[Partition]


class Catalogue:
    """All topics. Changed by the writer thread alone; others read single numbers, which is safe."""

    def __init__(self) -> None:
        self.topics: dict[str, Topic] = {}

    def topic(self, name: str) -> Topic:
        """The topic of a name, or ``NotFound``."""
        try:
            return self.topics[name]
        except KeyError:
            raise NotFound(f"The log has no topic {name!r}.") from None

    def partition(self, topic: str, number: int) -> Partition:
        """One partition, or ``NotFound``."""
        partitions = self.topic(topic).partitions
        if not 0 <= number < len(partitions):
            raise NotFound(f"Topic {topic!r} has the partitions 0 to {len(partitions) - 1}, not {number}.")
        return partitions[number]

    def all_partitions(self) -> list[Partition]:
        """Every partition of every topic."""
        return [partition for topic in list(self.topics.values()) for partition in topic.partitions]

    def load(self, connection: sqlite3.Connection) -> list[Partition]:
        """Take over what the file says; returns the partitions that have grown."""
        for row in connection.execute(
            "SELECT name, partitions, retention_s, retention_bytes, compacted FROM topics"
        ).fetchall():
            config = TopicConfig(row[0], row[1], row[2], row[3], bool(row[4]))
            if row[0] in self.topics:
                self.topics[row[0]].config = config
            else:
                self.topics[row[0]] = Topic(config, _load_partitions(connection, row[0]))
        return [partition for partition in self.all_partitions() if _refresh(connection, partition)]


def _load_partitions(connection: sqlite3.Connection, topic: str) -> list[Partition]:
    rows = connection.execute(
        "SELECT id, partition, compacted_to FROM partitions WHERE topic = ? ORDER BY partition", (topic,)
    ).fetchall()
    return [Partition(id_, topic, number, compacted_to=done) for id_, number, done in rows]


def _refresh(connection: sqlite3.Connection, partition: Partition) -> bool:
    """Take over where a partition begins and ends; True when it has grown."""
    bounds = (row_id(partition.id, 0), row_id(partition.id + 1, 0))
    (first,) = connection.execute("SELECT min(id) FROM records WHERE id >= ? AND id < ?", bounds).fetchone()
    if first is None:
        return False
    (last,) = connection.execute("SELECT max(id) FROM records WHERE id >= ? AND id < ?", bounds).fetchone()
    known, was_earliest = partition.next, partition.earliest
    partition.earliest, partition.next = first & OFFSET_MASK, (last & OFFSET_MASK) + 1
    if known == 0 or partition.earliest != was_earliest:
        partition.size = _count(connection, partition)
    elif partition.next > known:
        partition.size += _bytes_from(connection, partition, known)
    return partition.next > known


def _count(connection: sqlite3.Connection, partition: Partition) -> int:
    """The bytes of a partition: as they were written down last, and what has come in since."""
    to, counted = connection.execute(
        "SELECT counted_to, counted_bytes FROM partitions WHERE id = ?", (partition.id,)
    ).fetchone()
    return int(counted) + _bytes_from(connection, partition, to)


def _bytes_from(connection: sqlite3.Connection, partition: Partition, offset: int) -> int:
    (size,) = connection.execute(
        "SELECT sum(ifnull(length(value), 0)) FROM records WHERE id >= ? AND id < ?",
        (row_id(partition.id, offset), row_id(partition.id + 1, 0)),
    ).fetchone()
    return size or 0
