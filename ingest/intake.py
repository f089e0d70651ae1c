"""From a request to its durable answer: the one way through the doors."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from access.tenant_settings import TenantSettings
from broker.log import Log
from core.clock import Clock
from core.errors import Conflict, HubError
from core.metrics import Metrics
from core.traces import NO_TRACES, Traces
from ingest.batch import Arrival, Batch, Decoded, Receipt
from ingest.body import InFlight, decompress, read_body
from ingest.dead_letters import Encrypt
from ingest.idempotency import Requests, Ticket, body_digest
from ingest.joint import Arrived, Joiner, Joint, Kind
from ingest.limits import Limits
from ingest.publish import Publisher
from schemas.custom import TenantType

T = TypeVar("T")

#: A decoder turns a plain body into columns; it runs in a thread and must not touch the event loop.
Decoder = Callable[[bytes, Arrival, Limits], Decoded]

#: Bodies up to this size are decoded where they are: a thread would cost more than it saves.
_INLINE_BYTES = 8 << 10
#: The same for their digests, which would have to wait for what is being decoded.
_INLINE_DIGEST_BYTES = 256 << 10


@dataclass(frozen=True, slots=True)
class Delivery:
    """A request as a door sees it, before its body has been read.

    Parameters
    ----------
    tenant
        From the credential.
    door
        For metrics and dead letters.
    stream
        The body as it comes.
    encoding
        ``Content-Encoding``, or empty.
    key
        ``Idempotency-Key``, if any.
    decoder
        Reads the plain body; a :class:`ingest.joint.Joint` one those that wait together.
    admit
        Is told the number of rows before anything is written; raises ``TooManyRequests`` if that is too many.
    identity
        What besides the body makes the request what it is (headers that carry parts of an event, the module whose
        rows these are): the same bytes under another identity are another request.
    """

    tenant: str
    door: str
    stream: AsyncIterator[bytes]
    encoding: str
    key: str | None
    decoder: Decoder | Joint
    admit: Callable[[int], None] = lambda _rows: None
    identity: bytes = b""


class Intake:
    """Reads, decodes and publishes bodies within limits on bytes, rows and memory.

    Construction starts nothing; :meth:`start` makes the threads, :meth:`stop` commits what was gathered.

    Parameters
    ----------
    log, clock, metrics, limits
        Of the process.
    encrypt
        Encrypts dead letters.
    settings
        A tenant's settings: ``Access.settings``. Called once a request.
    traces
        Of the process.
    types
        A tenant's own event types; likewise.
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        metrics: Metrics,
        encrypt: Encrypt,
        *,
        limits: Limits | None = None,
        settings: Callable[[str], TenantSettings] = lambda _tenant: TenantSettings(),
        traces: Traces = NO_TRACES,
        types: Callable[[str], Mapping[str, TenantType]] = lambda _tenant: {},
        region: str = "",
    ) -> None:
        self.limits = limits or Limits()
        self._clock = clock
        self._metrics = metrics
        self._traces = traces
        self._settings, self._types = settings, types
        self._requests = Requests(log, clock, self.limits)
        self._in_flight = InFlight(self.limits.in_flight_bytes, metrics)
        self._executor = ThreadPoolExecutor(self.limits.threads, thread_name_prefix="ingest")
        self._joiner = Joiner(self.limits, self._executor, self._arrival)
        self.publisher = Publisher(log, clock, self.limits, metrics, encrypt, self._executor, traces, region)

    async def stop(self) -> None:
        """Commit what was gathered; then no thread is left."""
        await self.publisher.stop()
        self._executor.shutdown(wait=True)

    def hold(self) -> AbstractContextManager[Callable[[int], None]]:
        """For a door that has to read a body itself: bytes in flight, counted with everybody's."""
        return self._in_flight.hold()

    async def take(self, delivery: Delivery) -> Receipt:
        """Take a request in and return its answer once all of it is durable.

        Raises
        ------
        HubError
            Of :mod:`core.errors`; nothing was kept then.
        """
        started = self._clock.monotonic()
        status = 500
        try:
            receipt = await self._take(delivery)
            status = 202
        except HubError as error:
            status = error.status
            raise
        finally:
            self._metrics.ingest_requests.labels(delivery.door, str(status)).inc()
            self._metrics.ingest_seconds.labels(delivery.door).observe(self._clock.monotonic() - started)
        return receipt

    async def _take(self, delivery: Delivery) -> Receipt:
        with self._in_flight.hold() as take:
            wire = await read_body(delivery.stream, take, self.limits.body_bytes)
            self._metrics.ingest_bytes.labels(delivery.door).inc(len(wire))
            with self.publisher.coming():
                return await self._take_body(delivery, wire)

    async def _take_body(self, delivery: Delivery, wire: bytes) -> Receipt:
        digest = await self._run(len(wire) <= _INLINE_DIGEST_BYTES, body_digest, wire, delivery.identity)
        async with self._requests.enter(delivery.tenant, delivery.key, digest) as ticket:
            if ticket.repeated is not None:
                return self._count_repeated(delivery, ticket.repeated)
            with self._traces.span("decode", attributes={"llm_hub.door": delivery.door}) as span:
                arrived = await self._decode(delivery, wire)
                span.set("llm_hub.rows", arrived.decoded.rows)
            delivery.admit(arrived.decoded.rows)
            return await self._publish(delivery, arrived, ticket)

    async def _decode(self, delivery: Delivery, wire: bytes) -> Arrived:
        decoder = delivery.decoder
        if isinstance(decoder, Joint):
            if len(wire) <= self.limits.joint_bytes:
                kind = Kind(delivery.tenant, delivery.door, delivery.key, decoder)
                return await self._joiner.decode(kind, wire, delivery.encoding)
            decoder = decoder.alone  # large enough to need no company, and too large to let others wait
        arrival = self.arrival(delivery.tenant, delivery.door, delivery.key)
        inline = len(wire) <= _INLINE_BYTES
        return Arrived(arrival, await self._run(inline, self._decode_alone, decoder, wire, delivery.encoding, arrival))

    def _arrival(self, kind: Kind) -> Arrival:
        return self.arrival(kind.tenant, kind.door, kind.key)

    def arrival(self, tenant: str, door: str, key: str | None = None) -> Arrival:
        """What decoding a tenant's rows depends on, now."""
        settings = self._settings(tenant)
        now = self._clock.now()
        return Arrival(
            tenant=tenant,
            received_at=now,
            oldest=now - timedelta(days=settings.retention_days.events),
            newest=now + self.limits.future,
            door=door,
            key=key,
            redaction=settings.redaction,
            capture=settings.content_capture,
            types=self._types(tenant),
        )

    def _decode_alone(self, decoder: Decoder, wire: bytes, encoding: str, arrival: Arrival) -> Decoded:
        return decoder(decompress(wire, encoding, self.limits), arrival, self.limits)

    async def _publish(self, delivery: Delivery, arrived: Arrived, ticket: Ticket) -> Receipt:
        arrival, decoded = arrived.arrival, arrived.decoded
        receipt = Receipt.of(decoded, self.limits.errors)
        marks = self._requests.marks(ticket, decoded, receipt)
        batch = Batch(delivery.tenant, delivery.door, arrival.received_at, decoded.table, decoded.rejected, marks)
        try:
            await self.publisher.publish(batch)
        except Conflict:  # another process has done the same request in the meantime
            repeated = await self._requests.again(ticket)
            if repeated is None:
                raise
            return self._count_repeated(delivery, repeated)
        self._count(delivery.door, decoded)
        return receipt

    async def _run(self, inline: bool, function: Callable[..., T], *arguments: object) -> T:
        """In a thread, unless it is so small that the way there costs more."""
        if inline:
            return function(*arguments)
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)

    def _count(self, door: str, decoded: Decoded) -> None:
        metrics = self._metrics
        metrics.ingest_accepted.labels(door).inc(decoded.table.num_rows)
        metrics.ingest_batches.labels(door, decoded.path).inc()
        metrics.ingest_batch_rows.labels(door).observe(decoded.rows)
        for row in decoded.rejected:
            metrics.ingest_rejected.labels(door, row.kind).inc()
        if decoded.redactions:
            metrics.ingest_redactions.labels(door).inc(decoded.redactions)
        if decoded.dropped_bodies:
            metrics.ingest_dropped_bodies.labels(door).inc(decoded.dropped_bodies)

    def _count_repeated(self, delivery: Delivery, receipt: Receipt) -> Receipt:
        self._metrics.ingest_duplicates.labels(delivery.door).inc(receipt.duplicates)
        return receipt
