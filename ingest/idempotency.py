"""Telling a retry from a new request: by its ``Idempotency-Key``, or by its bytes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from broker.log import Log, Mark
from core.clock import Clock
from core.errors import BadRequest, Conflict, Unprocessable
from ingest.batch import Decoded, Receipt
from ingest.limits import Limits


def body_digest(body: bytes, identity: bytes = b"") -> bytes:
    """What a body is known by. SHA-256: nobody can make another body with it, and CPUs have it in hardware.

    ``identity`` is what else makes the request what it is, see :class:`ingest.intake.Delivery`.
    """
    digest = hashlib.sha256(b"%d:%b" % (len(identity), identity) if identity else b"")
    digest.update(body)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that has been let in; ``repeated`` is the answer if it is a retry of one that is done."""

    mark_key: bytes
    by_key: bool
    digest: bytes
    ttl: timedelta
    repeated: Receipt | None


class Requests:
    """The requests known to the log, and those in flight in this process.

    Parameters
    ----------
    log
        Keeps the marks, in the same transaction as the rows.
    clock, limits
        Of the process.
    """

    def __init__(self, log: Log, clock: Clock, limits: Limits) -> None:
        self._log = log
        self._clock = clock
        self._limits = limits
        self._in_flight: dict[bytes, asyncio.Event] = {}

    @asynccontextmanager
    async def enter(self, tenant: str, key: str | None, digest: bytes) -> AsyncIterator[Ticket]:
        """Let a request in, alone under its key for as long as the context lasts.

        Raises
        ------
        BadRequest
            A key that is no key.
        Conflict
            A request with the same key is in flight.
        Unprocessable
            The key was used for another body.
        """
        mark_key = _mark_key(tenant, key, digest)
        await self._alone(mark_key, wait=key is None)
        done = self._in_flight[mark_key] = asyncio.Event()
        try:
            repeated = await self._known(mark_key, digest)
            ttl = self._limits.body_ttl if key is None else self._limits.key_ttl
            yield Ticket(mark_key, key is not None, digest, ttl, repeated)
        finally:
            del self._in_flight[mark_key]
            done.set()

    async def again(self, ticket: Ticket) -> Receipt | None:
        """The answer of a request that another process finished in the meantime."""
        return await self._known(ticket.mark_key, ticket.digest)

    def marks(self, ticket: Ticket, decoded: Decoded, receipt: Receipt) -> tuple[Mark, ...]:
        """What is to be remembered of a request: nothing without a key, unless all its rows have ids."""
        if not ticket.by_key and not decoded.all_ids:
            return ()
        expires = self._clock.now() + ticket.ttl
        return (Mark(ticket.mark_key, ticket.digest, decoded.rows, receipt.to_json(), expires),)

    async def _alone(self, mark_key: bytes, *, wait: bool) -> None:
        while (other := self._in_flight.get(mark_key)) is not None:
            if not wait:
                raise Conflict("a request with this Idempotency-Key is still in flight; ask again when it is done")
            await other.wait()

    async def _known(self, mark_key: bytes, digest: bytes) -> Receipt | None:
        mark = await self._log.lookup_mark(mark_key)
        if mark is None:
            return None
        if mark.body_hash != digest:
            raise Unprocessable("this Idempotency-Key was used for another body; take a new key for a new body")
        return Receipt.from_json(mark.answer).repeated()


def _mark_key(tenant: str, key: str | None, digest: bytes) -> bytes:
    if key is None:
        return hashlib.sha256(b"body\0" + tenant.encode() + b"\0" + digest).digest()
    if not 1 <= len(key) <= 255 or not key.isprintable():
        raise BadRequest("Idempotency-Key must be 1 to 255 printable characters")
    return hashlib.sha256(b"key\0" + tenant.encode() + b"\0" + key.encode()).digest()
