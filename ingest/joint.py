"""Bodies that wait for a thread are decoded together.

A block of columns has a price of its own, however few rows it has. A body that comes while nothing else is decoded is
decoded at once: nothing waits for company. What comes in the meantime waits, and then goes together. So blocks grow
with the load, as in the group commit of a log, and no timer is needed.
"""

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from core.errors import HubError, SlowDown
from ingest.batch import Arrival, Decoded
from ingest.body import decompress
from ingest.decode.parse import REFUSALS
from ingest.limits import Limits


class Joint(ABC):
    """A decoder of several bodies at a time, each of which becomes what it would alone.

    Decoders that are equal read alike: bodies of one tenant for equal decoders go together. It runs in a thread and
    must not touch the event loop. A body that cannot be read is a :class:`core.errors.HubError` in its place; any
    other error is a mistake, after which the bodies are read again one by one.
    """

    @abstractmethod
    def __call__(self, bodies: Sequence[bytes], arrival: Arrival, limits: Limits) -> Sequence[Decoded | HubError]:
        """What becomes of each body, in their order."""

    def alone(self, body: bytes, arrival: Arrival, limits: Limits) -> Decoded:
        """What becomes of one body; raises its error."""
        return alone(self([body], arrival, limits))


def alone(found: Sequence[Decoded | HubError]) -> Decoded:
    """What became of the one body that was read; raises its error."""
    (only,) = found
    if isinstance(only, HubError):
        raise only
    return only


@dataclass(frozen=True, slots=True)
class Kind:
    """What bodies that are decoded together have in common. An ``Idempotency-Key`` is nobody else's."""

    tenant: str
    door: str
    key: str | None
    decoder: Joint


@dataclass(frozen=True, slots=True)
class Arrived:
    """A decoded body, and what it was decoded with."""

    arrival: Arrival
    decoded: Decoded


@dataclass(eq=False, slots=True)
class _Body:
    kind: Kind
    wire: bytes
    encoding: str
    done: "asyncio.Future[Arrived]"


class Joiner:
    """Decodes bodies, as many at a time as wait.

    Tenants take turns: who sends much waits for their own bodies, not others for theirs.

    Parameters
    ----------
    limits
        Of the process.
    executor
        Where decoding is done.
    arrival
        Asked once for each block, on the event loop.
    """

    def __init__(self, limits: Limits, executor: Executor, arrival: Callable[[Kind], Arrival]) -> None:
        self._limits = limits
        self._executor = executor
        self._arrival = arrival
        self._waiting: OrderedDict[str, list[_Body]] = OrderedDict()
        self._running: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Handle | None = None

    async def decode(self, kind: Kind, wire: bytes, encoding: str) -> Arrived:
        """Decode a body.

        Raises
        ------
        SlowDown
            Too many bodies of the tenant wait already.
        HubError
            The body cannot be read.
        """
        mine = self._waiting.setdefault(kind.tenant, [])
        if len(mine) >= self._limits.waiting_bodies:
            raise SlowDown("the hub is busy with other bodies; send the same body again later", retry_after=1.0)
        loop = asyncio.get_running_loop()
        body = _Body(kind, wire, encoding, loop.create_future())
        mine.append(body)
        if self._looking is None:  # those that are ready in the same turn of the loop go together
            self._looking = loop.call_soon(self._start)
        return await body.done

    def _start(self) -> None:
        self._looking = None
        while len(self._running) < self._limits.joint_threads and self._waiting:
            if block := self._next():
                task = asyncio.create_task(self._run(block))
                self._running.add(task)
                task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._start()

    def _next(self) -> list[_Body]:
        """The first body of the tenant whose turn it is, and those that go with it."""
        tenant, waiting = self._waiting.popitem(last=False)
        waiting = [body for body in waiting if not body.done.done()]  # who has gone away needs no answer
        block: list[_Body] = []
        rest: list[_Body] = []
        size = 0
        for body in waiting:
            fits = not block or (body.kind == block[0].kind and size + len(body.wire) <= self._limits.joint_bytes)
            (block if fits else rest).append(body)
            size += len(body.wire) if fits else 0
        if rest:
            self._waiting[tenant] = rest  # at the end of the row
        return block

    async def _run(self, block: list[_Body]) -> None:
        try:
            arrival = self._arrival(block[0].kind)
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._executor, self._decode, block, arrival)
        except BaseException as error:
            for body in block:
                if not body.done.done():
                    body.done.set_exception(error)
            if not isinstance(error, Exception):
                raise
            return
        for body, one in zip(block, found, strict=True):
            if body.done.done():
                continue
            if isinstance(one, Decoded):
                body.done.set_result(Arrived(arrival, one))
            else:
                body.done.set_exception(one)

    # --- in a thread

    def _decode(self, block: Sequence[_Body], arrival: Arrival) -> list[Decoded | Exception]:
        found: list[Decoded | Exception] = [HubError("not decoded")] * len(block)
        for places, plain in self._plain(block, found):
            for place, one in zip(places, self._decoded(block[0].kind.decoder, plain, arrival), strict=True):
                found[place] = one
        return found

    def _plain(
        self, block: Sequence[_Body], found: list[Decoded | Exception]
    ) -> Iterator[tuple[list[int], list[bytes]]]:
        """Decompressed bodies and their places, never more at a time than a block may have; errors go to ``found``."""
        places: list[int] = []
        plain: list[bytes] = []
        for place, body in enumerate(block):
            try:
                one = decompress(body.wire, body.encoding, self._limits)
            except HubError as error:
                found[place] = error
                continue
            if plain and sum(map(len, plain)) + len(one) > self._limits.joint_bytes:
                yield places, plain
                places, plain = [], []
            places.append(place)
            plain.append(one)
        if plain:
            yield places, plain

    def _decoded(self, decoder: Joint, plain: Sequence[bytes], arrival: Arrival) -> Sequence[Decoded | Exception]:
        try:
            return decoder(plain, arrival, self._limits)
        except (Exception, *REFUSALS) as error:  # whose fault it is shows when each is alone
            if len(plain) == 1:
                return [error if isinstance(error, Exception) else RuntimeError(str(error))]  # a library has panicked
            return [one for body in plain for one in self._decoded(decoder, [body], arrival)]
