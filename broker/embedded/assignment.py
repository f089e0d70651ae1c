"""Which partitions a Faust app gets: all of them, but through Faust's own assignor.

The assignor also knows which tables belong to which partitions, and table recovery asks it. It expects Kafka's cluster
metadata and the answer of a group coordinator; both are played here for the one member there is.
"""

from collections.abc import Iterable
from typing import Any

from faust.types import TP

from broker.embedded.log import SqliteLog

_MEMBER = "only"


class _Cluster:
    """What the assignor asks of Kafka's cluster metadata."""

    def __init__(self, log: SqliteLog) -> None:
        self._log = log

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._log.partitions(topic))) if self._log.has_topic(topic) else set()


def assign(app: Any, log: SqliteLog, topics: Iterable[str]) -> set[TP]:
    """Let the app's assignor share out the partitions of these topics; returns what the app gets."""
    assignor = app.assignor
    members = {_MEMBER: assignor.metadata(set(topics))}
    assignment = assignor.assign(_Cluster(log), members)[_MEMBER]
    assignor.on_assignment(assignment)
    return {TP(topic, partition) for topic, partitions in assignment.assignment for partition in partitions}
