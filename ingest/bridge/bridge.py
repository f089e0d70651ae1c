"""Reads modules' events from topics of their own in a Kafka, and hands them to the intake like any sender's.

A record is one event as JSON, or what its headers say (a CloudEvent in structured or binary mode). The tenant is the
topic's: who may write it is what the broker's access control says.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson
import pyarrow as pa
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from broker.kafka_address import KafkaAddress
from broker.kafka_closing import close_consumer
from core.clock import Clock
from core.errors import HubError
from core.ids import derived_id
from core.metrics import Metrics
from ingest import forms
from ingest.batch import Arrival, Decoded, Rejected
from ingest.body import once
from ingest.decode.cloudevents import BATCH, STRUCTURED, attributes_of, decode_lines, is_binary
from ingest.decode.ndjson import decode_ndjson
from ingest.doors.events import decoder_for
from ingest.intake import Decoder, Delivery, Intake
from ingest.limits import Limits

logger = logging.getLogger("llm_hub.bridge")

DOOR: Final = "kafka"
GROUP: Final = "llm-hub-bridge"
#: Bytes of records that are decoded together.
_BODY_BYTES: Final = 4 << 20
#: Batches that are handed over at the same time: one waits for the disk while the next is decoded.
UNDER_WAY: Final = 3
#: Statuses of the intake that pass: the same records will do later.
_LATER: Final = (409, 429, 503)


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """Where to read, and what.

    Parameters
    ----------
    address
        Brokers and credentials.
    topics
        Topic → tenant.
    records
        Records taken at a time; while they are handed over the next are fetched.
    wait_s
        How long to wait for the first of them.
    retry_s, retry_max_s
        First and longest pause after a failure.
    """

    address: KafkaAddress = field(default_factory=lambda: KafkaAddress(()))
    topics: Mapping[str, str] = field(default_factory=dict)
    records: int = 10_000
    wait_s: float = 0.5
    retry_s: float = 0.5
    retry_max_s: float = 30.0


@dataclass(frozen=True, slots=True)
class BridgeHealth:
    """How the bridge is."""

    state: str
    detail: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong with the hub: a broker that is away is shown, and closes no other door."""
        return self.state != "failed"


class Consumer(Protocol):
    """What is needed of ``aiokafka.AIOKafkaConsumer``."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def getmany(self, *, timeout_ms: int, max_records: int) -> Mapping[Any, Sequence[Any]]: ...

    async def commit(self, offsets: Mapping[Any, int]) -> None: ...


def connect(config: BridgeConfig, topics: Collection[str]) -> Consumer:
    """A consumer of these topics that begins with the oldest record and commits nothing by itself."""
    consumer: Consumer = AIOKafkaConsumer(
        *topics,
        **config.address.options(),
        group_id=GROUP,
        client_id=GROUP,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        # more at a time than a consumer asks for by itself: a fetch costs much the same
        max_partition_fetch_bytes=2 << 20,
        fetch_max_bytes=32 << 20,
        # the hub's own back-pressure may hold a batch for long, and is no reason to give its partitions away
        max_poll_interval_ms=30 * 60 * 1000,
    )
    return consumer


class Bridge:
    """Reads the topics of the configuration; without any it does nothing and opens nothing.

    Offsets are committed after the events are in the hub's log. A crash in between brings records again: their events
    keep their ids, those without get one from topic, partition and offset, and so they count once. A record that is no
    event goes to the dead letters as it came.

    Parameters
    ----------
    config
        Where to read.
    intake
        Takes the events in.
    clock, metrics
        Of the process.
    tenants
        The tenants there are: the topic of one that is none is left alone until it is made.
    connect
        Makes the consumer.
    """

    def __init__(
        self,
        config: BridgeConfig,
        intake: Intake,
        clock: Clock,
        metrics: Metrics,
        *,
        tenants: Callable[[], Collection[str]],
        connect: Callable[[BridgeConfig, Collection[str]], Consumer] = connect,
    ) -> None:
        self._config, self._intake, self._clock, self._metrics = config, intake, clock, metrics
        self._tenants, self._connect = tenants, connect
        self._task: asyncio.Task[None] | None = None
        self._health = BridgeHealth("starting")

    def check(self) -> BridgeHealth:
        """Whether it reads; never waits."""
        return self._health

    async def start(self) -> None:
        """Begin to read, if there is anything to read."""
        if self._config.topics:
            self._task = asyncio.create_task(self._run(), name="kafka bridge")

    async def stop(self) -> None:
        """Read no more; what is not committed comes again. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        pause = self._config.retry_s
        while True:
            topics = self._known()
            try:
                if topics:
                    await self._read(topics)
                    pause = self._config.retry_s
                    continue
                self._health = BridgeHealth("starting", "no topic has a tenant")
            except (KafkaError, OSError) as error:
                logger.warning("the bridge reads again in %.1f s: %s", pause, error)
                self._health = BridgeHealth("disconnected", str(error))
            except Exception as error:
                logger.exception("the bridge failed; it reads again in %.1f s", pause)
                self._health = BridgeHealth("failed", type(error).__name__)
            await self._clock.sleep(pause)
            pause = min(2 * pause, self._config.retry_max_s)

    def _known(self) -> dict[str, str]:
        """The topics whose tenant there is."""
        tenants = self._tenants()
        unknown = sorted({tenant for tenant in self._config.topics.values() if tenant not in tenants})
        if unknown:
            logger.warning("topics of tenants that do not exist are left alone: %s", ", ".join(unknown))
        return {topic: tenant for topic, tenant in self._config.topics.items() if tenant in tenants}

    async def _read(self, topics: Mapping[str, str]) -> None:
        """Read until a tenant comes or goes."""
        consumer = self._connect(self._config, topics)
        under_way: deque[tuple[asyncio.Task[None], Mapping[Any, int]]] = deque()
        try:
            await consumer.start()
            self._health = BridgeHealth("running")
            while set(self._config.topics.values()).intersection(self._tenants()) == set(topics.values()):
                wait = 1 if under_way else int(self._config.wait_s * 1000)
                found = await consumer.getmany(timeout_ms=wait, max_records=self._config.records)
                if found:  # while these are handed over, the next are fetched
                    offsets = {place: records[-1].offset + 1 for place, records in found.items()}
                    under_way.append((asyncio.create_task(self._hand_over(topics, found)), offsets))
                while under_way and (not found or len(under_way) == UNDER_WAY or under_way[0][0].done()):
                    await self._settle(consumer, under_way)
            while under_way:
                await self._settle(consumer, under_way)
        finally:
            tasks = [task for task, _ in under_way]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await close_consumer(consumer)

    async def _settle(self, consumer: Consumer, under_way: deque[tuple[asyncio.Task[None], Mapping[Any, int]]]) -> None:
        """Wait for the oldest batch and commit behind it: what is committed is in the log, and all before it."""
        task, offsets = under_way[0]
        await task
        under_way.popleft()
        await consumer.commit(offsets)

    async def _hand_over(self, topics: Mapping[str, str], found: Mapping[Any, Any]) -> None:
        """Have the intake take all of it."""
        deliveries: list[Callable[[], Delivery]] = []
        for tenant in sorted({topics[place.topic] for place in found}):
            mine = [one for place, some in found.items() if topics[place.topic] == tenant for one in some]
            deliveries += self._deliveries(tenant, mine)
        await asyncio.gather(*map(self._take, deliveries))

    def _deliveries(self, tenant: str, records: Sequence[Any]) -> Iterator[Callable[[], Delivery]]:
        """Plain events together, CloudEvents together, and what is neither by itself."""
        plain, cloud = _Lines(decode_ndjson), _Lines(decode_lines, b"cloudevents")
        for record in records:
            if not record.value:
                continue  # a tombstone says nothing
            headers = _headers(record) if record.headers else {}
            line = _cloud_line(record.value, headers) if headers else _line(record)
            if line is None:
                yield self._delivery(tenant, record.value, _of_headers(headers), orjson.dumps(sorted(headers.items())))
                continue
            lines = cloud if headers else plain
            lines.add(line)
            if lines.size >= _BODY_BYTES:
                yield self._delivery(tenant, lines.body(), lines.decoder, lines.identity)
        for lines in (plain, cloud):
            if lines.size:
                yield self._delivery(tenant, lines.body(), lines.decoder, lines.identity)

    def _delivery(self, tenant: str, body: bytes, decoder: Decoder, identity: bytes) -> Callable[[], Delivery]:
        readable = _Readable(decoder)
        return lambda: Delivery(tenant, DOOR, once(body), "", None, readable, identity=identity)

    async def _take(self, delivery: Callable[[], Delivery]) -> None:
        """Hand over, until it is taken: what is in a topic waits there."""
        pause = self._config.retry_s
        while True:
            try:
                await self._intake.take(delivery())
            except HubError as error:
                if error.status not in _LATER:
                    logger.exception("the intake refuses records of the bridge; it is tried again")
                self._health = BridgeHealth("waiting", error.detail)
                await self._clock.sleep(pause)
                pause = min(2 * pause, self._config.retry_max_s)
            else:
                self._health = BridgeHealth("running")
                return


class _Lines:
    """Events of one form that become one body."""

    def __init__(self, decoder: Decoder, identity: bytes = b"") -> None:
        self.decoder, self.identity = decoder, identity
        self._lines: list[bytes] = []
        self.size = 0

    def add(self, line: bytes) -> None:
        self._lines.append(line)
        self.size += len(line)

    def body(self) -> bytes:
        """All of them; none is left."""
        lines, self._lines, self.size = self._lines, [], 0
        return b"\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Readable:
    """A decoder for which there is no wrong body: nobody is there to be told, so it is one wrong row."""

    decoder: Decoder

    def __call__(self, body: bytes, arrival: Arrival, limits: Limits) -> Decoded:
        try:
            return self.decoder(body, arrival, limits)
        except HubError as error:
            return Decoded(pa.table({}), (Rejected(0, None, "body", error.detail, "json", body, forms.BYTES),))


def _headers(record: Any) -> dict[str, str]:
    """What a record's headers say of its form, named as over HTTP; empty for a plain event."""
    found = {
        name.lower().replace("ce_", "ce-", 1) if name.lower().startswith("ce_") else name.lower(): value
        for name, value in record.headers
    }
    told = {
        name: value.decode(errors="replace")
        for name, value in found.items()
        if name == "content-type" or name.startswith("ce-")
    }
    return {} if told in ({}, {"content-type": "application/json"}) else told


def _cloud_line(value: bytes, headers: Mapping[str, str]) -> bytes | None:
    """A CloudEvent as a line in structured form; None where it is a batch, or cannot be read."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == STRUCTURED:
        return value.replace(b"\n", b" ").strip()
    if not is_binary(headers) or media_type == BATCH or (media_type and not media_type.endswith(("/json", "+json"))):
        return None
    try:
        return orjson.dumps({**attributes_of(headers), "data": orjson.loads(value)})
    except orjson.JSONDecodeError:
        return None


def _of_headers(headers: Mapping[str, str]) -> Decoder:
    try:
        return decoder_for(headers)[0]
    except HubError as error:
        return _Refusing(error)


@dataclass(frozen=True, slots=True)
class _Refusing:
    error: HubError

    def __call__(self, body: bytes, arrival: Arrival, limits: Limits) -> Decoded:  # noqa: ARG002 - nothing is read
        raise self.error


def _line(record: Any) -> bytes:
    """A plain event as a line; without an id it gets that of its place."""
    value: bytes = record.value.replace(b"\n", b" ").strip()
    if b'"id"' in value[:64]:
        return value  # as our own clients write it
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    if not isinstance(event, dict) or not event or event.get("id") is not None:
        return value
    made = derived_id("kafka", record.topic, record.partition, record.offset)
    return b'{"id":"%b",' % str(made).encode() + value[1:] if "id" not in event else orjson.dumps(event | {"id": made})
