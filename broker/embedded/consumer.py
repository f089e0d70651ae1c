"""The consumer of the ``sqlite://`` transport."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from faust.transport.consumer import Consumer as BaseConsumer
from faust.types import TP, ConsumerMessage

from broker.embedded.assignment import assign
from broker.embedded.groups import GroupLock
from broker.embedded.lease import give_back, lease, log_path
from broker.embedded.log import SqliteLog
from broker.log import Record, TopicConfig
from broker.partition import partition_for
from core.errors import HubError

#: How often a second process looks whether the first still reads for the group.
_LOCK_RETRY = 0.5
_MAX_RECORDS = 500
_MAX_BYTES = 8 << 20


class Consumer(BaseConsumer):
    """Reads the log for one consumer group.

    Faust's base class keeps track of acknowledgements; this class keeps the positions, fetches and commits.
    """

    def __post_init__(self) -> None:
        self._log: SqliteLog | None = None
        self._lock: GroupLock | None = None
        self._positions: dict[TP, int] = {}
        self._generation = 0
        self._wake_fetch = asyncio.Event()

    async def on_start(self) -> None:
        """Open the log, or share the process's."""
        self._log = await lease(log_path(self.transport))
        self._lock = GroupLock(self._log.path, self.app.conf.id)
        await super().on_start()

    async def on_stop(self) -> None:
        """Commit, then let go of the group and the log."""
        await super().on_stop()
        if self._lock is not None:
            self._lock.release()
        if self._log is not None:
            await give_back(self._log)
            self._log = None

    async def subscribe(self, topics: Iterable[str]) -> None:
        """Have the topics assigned. Must not wait for it: the assignment waits for this method's caller."""
        self.add_future(self._rebalance(frozenset(topics)))

    async def _rebalance(self, topics: frozenset[str]) -> None:
        log = self._open_log()
        await self._acquire_lock()
        for topic in topics:
            if not log.has_topic(topic):  # as Kafka does by default
                await log.create_topic(TopicConfig(topic, self.app.conf.topic_partitions))
        self.app.on_rebalance_start()
        self._generation += 1
        self.app.consumer_generation_id = self._generation
        if self._positions:
            await self.on_partitions_revoked(set(self._positions))
        assigned = assign(self.app, log, topics)
        await self._seek_to(assigned)
        await self.on_partitions_assigned(assigned, self._generation)

    async def _acquire_lock(self) -> None:
        if self._lock is None or self._lock.held:
            return
        if not self._lock.acquire():
            self.log.warning("Another process reads for the group %s; waiting until it ends", self.app.conf.id)
            while not self._lock.acquire():
                await self.sleep(_LOCK_RETRY)

    # -- where to read

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go back to what the group has committed, or to the start where it never has."""
        return await self._seek_to(set(self._positions))

    async def _seek_to(self, tps: set[TP]) -> dict[TP, int]:
        log = self._open_log()
        commits = await log.commits(self.app.conf.id)
        committed = {tp: commits[tp.topic, tp.partition] for tp in tps if (tp.topic, tp.partition) in commits}
        latest = self.app.conf.consumer_auto_offset_reset == "latest"
        self._positions = {tp: committed.get(tp, log.bounds(*tp)[1 if latest else 0]) for tp in tps}
        return committed

    async def _seek(self, partition: TP, offset: int) -> None:
        self._positions[partition] = offset
        self._wake_fetch.set()

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        """Move several partitions; what is read next comes from there."""
        for tp, offset in partitions.items():
            self._positions[tp] = offset
            self._read_offset[tp] = offset or None
        self._wake_fetch.set()

    async def seek_to_beginning(self, *partitions: TP) -> None:
        """Move partitions to the first record that is kept."""
        log = self._open_log()
        await self.seek_wait({tp: log.bounds(*tp)[0] for tp in partitions})

    async def position(self, tp: TP) -> int | None:
        """The offset that will be read next."""
        return self._positions.get(tp)

    # -- reading

    def on_buffer_drop(self, tp: TP) -> None:
        """A stream has room again: fetch at once."""
        super().on_buffer_drop(tp)
        self._wake_fetch.set()

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Fetch from these partitions again, at once."""
        super().resume_partitions(tps)
        self._wake_fetch.set()

    async def _wait_next_records(self, timeout: float) -> tuple[Any, Any]:
        """The base class sleeps a whole second when no partition is active; this waits until one is."""
        if self.flow_active and not self._get_active_partitions():
            await self._wait_for_wake(timeout)
            return {}, self._get_active_partitions()
        return await super()._wait_next_records(timeout)

    async def _wait_for_wake(self, timeout: float) -> None:
        self._wake_fetch.clear()
        if not self._get_active_partitions():
            await asyncio.wait([waiter := asyncio.ensure_future(self._wake_fetch.wait())], timeout=timeout)
            waiter.cancel()

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Record]]:
        wanted = [tp for tp in active_partitions or () if tp in self._positions]
        self._wake_fetch.clear()
        records = await self._fetch(wanted)
        if not records and self.flow_active:
            await self._wait_for_records(wanted, timeout)
            records = await self._fetch(wanted)
        return records

    async def _fetch(self, wanted: list[TP]) -> dict[TP, list[Record]]:
        log, found = self._open_log(), {}
        for tp in wanted:
            start = self._positions.get(tp)
            if start is None or not self.flow_active:
                continue
            records = await log.read(*tp, start, max_records=_MAX_RECORDS, max_bytes=_MAX_BYTES)
            if records and self._may_deliver(tp, start):
                self._positions[tp] = records[-1].offset + 1
                found[tp] = records
        return found

    def _may_deliver(self, tp: TP, start: int) -> bool:
        """False when, while records were read, the flow was stopped or the position moved."""
        return self.flow_active and self._positions.get(tp) == start

    async def _wait_for_records(self, wanted: list[TP], timeout: float) -> None:
        """Until there is something to fetch, or to fetch elsewhere: a seek, or a partition with room again."""
        positions = {(tp.topic, tp.partition): self._positions[tp] for tp in wanted if tp in self._positions}
        grown = asyncio.ensure_future(self._open_log().wait(positions, timeout))
        woken = asyncio.ensure_future(self._wake_fetch.wait())
        try:
            await asyncio.wait({grown, woken}, return_when=asyncio.FIRST_COMPLETED)
            if grown.done():
                grown.result()
        finally:
            grown.cancel()
            woken.cancel()

    def _to_message(self, tp: TP, record: Record) -> ConsumerMessage:
        return ConsumerMessage(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms / 1000,
            0,  # as Kafka's CreateTime
            list(record.headers),
            record.key,
            record.value,
            None,
            len(record.key or b""),
            len(record.value or b""),
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    # -- committing

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Write the offsets down; never once the app has crashed, when what is acknowledged may not be processed."""
        if self.app.crashed:
            return False
        try:
            await self._open_log().commit(self.app.conf.id, {(tp.topic, tp.partition): n for tp, n in offsets.items()})
        except HubError as error:
            self.log.warning("Could not commit, will try again: %s", error)
            return False
        return True

    # -- what is known of the log

    def assignment(self) -> set[TP]:
        """The partitions this consumer reads."""
        return set(self._positions)

    def highwater(self, tp: TP) -> int:
        """The offset that the next record of a partition will get."""
        return self._open_log().bounds(*tp)[1]

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The offsets that the next records will get."""
        return {tp: self.highwater(tp) for tp in partitions}

    async def earliest_offsets(self, *partitions: TP) -> Mapping[TP, int]:
        """The offsets of the first records that are kept."""
        log = self._open_log()
        return {tp: log.bounds(*tp)[0] for tp in partitions}

    def topic_partitions(self, topic: str) -> int | None:
        """The number of partitions, None for a topic that is not there."""
        log = self._open_log()
        return log.partitions(topic) if log.has_topic(topic) else None

    def key_partition(self, topic: str, key: bytes | None, partition: int | None = None) -> int | None:
        """The partition of a key."""
        count = self.topic_partitions(topic)
        if count is None or partition is not None or key is None:
            return partition
        return partition_for(key, count)

    async def create_topic(self, topic: str, partitions: int, replication: int, **options: Any) -> None:
        """Create a topic unless it is there."""
        if self.app.conf.topic_allow_declare:
            await self.app.producer.create_topic(topic, partitions, replication, **options)

    def _new_topicpartition(self, topic: str, partition: int) -> TP:
        return TP(topic, partition)

    def _open_log(self) -> SqliteLog:
        if self._log is None:
            raise RuntimeError("The consumer has not been started.")
        return self._log
