"""Clients that do what the contract asks of clients: the same request again until it is acknowledged."""

import asyncio
import gzip
import random
import time
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
import orjson

from tests.chaos.ledger import Batch, Ledger

#: How a retry can be told from a new request: by its key, its key and ids, its ids alone, the id of its one event.
Form = Literal["key", "both", "ids", "single"]
FORMS: tuple[Form, ...] = ("key", "both", "ids", "single")

_RETRIED = frozenset({409, 429, 500, 502, 503, 504})
#: Nobody in a test waits for the half minute that a full disk asks for.
_LONGEST_WAIT = 1.0


@dataclass
class Outcomes:
    """What clients saw: every attempt, and every request."""

    attempts: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    given_up: int = 0
    slowest: float = 0.0
    acknowledged_at: list[float] = field(default_factory=list)

    @property
    def raw_success(self) -> float:
        """Share of attempts that were acknowledged at once."""
        tried = sum(self.attempts.values())
        return self.attempts["202"] / tried if tried else 1.0

    @property
    def success(self) -> float:
        """Share of requests that were acknowledged, retries included."""
        return 1 - self.given_up / self.requests if self.requests else 1.0


@dataclass
class Sender:
    """One client.

    Parameters
    ----------
    urls
        Doors; after a failure the next one is tried, as behind a load balancer.
    key, tenant, form
        Whose events, and how a repetition is told.
    ledger, outcomes
        What is kept.
    seed
        Of its sizes and pauses.
    again
        Share of requests that are sent once more although they were acknowledged: a client that retries everything.
    remix
        Share of requests after which some of the latest events are sent once more, in other company.
    patience
        Seconds after which a request is given up.
    """

    urls: Sequence[str]
    key: str
    tenant: str
    form: Form
    ledger: Ledger
    outcomes: Outcomes
    seed: int
    again: float = 0.0
    remix: float = 0.0
    size: tuple[int, int] = (2, 120)
    patience: float = 180.0
    timeout: float = 30.0

    def __post_init__(self) -> None:
        self._random = random.Random(f"{self.seed}/{self.tenant}/{self.form}")
        self._at = self._random.randrange(len(self.urls))
        self._sent = 0
        self._latest: deque[dict[str, Any]] = deque(maxlen=500)

    async def run(self, client: httpx.AsyncClient, wanted: Callable[[], bool], pause: float) -> None:
        """Send one request after the other for as long as more is wanted."""
        while wanted():
            await self.send(client)
            await asyncio.sleep(self._random.uniform(0, 2 * pause))

    async def send(self, client: httpx.AsyncClient) -> None:
        """One request, until it is acknowledged."""
        size = 1 if self.form == "single" else self._random.randint(*self.size)
        batch = self.ledger.batch(self.tenant, size, ids=self.form != "key")
        self._sent += 1
        headers = {"Authorization": f"Bearer {self.key}"}
        if self.form in ("key", "both"):
            headers["Idempotency-Key"] = uuid.uuid5(uuid.NAMESPACE_OID, f"{self.seed}/{self.form}/{self._sent}").hex
        body = self._body(batch, headers)
        self.ledger.sent(batch)
        if await self._until_acknowledged(client, batch, body, headers) and self._random.random() < self.again:
            await self._until_acknowledged(client, batch, body, headers, first=False)
        if self.remix and self.form != "key":
            self._latest.extend(batch.events)
            if self._random.random() < self.remix:
                await self._send_mixed(client)

    async def _send_mixed(self, client: httpx.AsyncClient) -> None:
        """Events that were acknowledged before, of several requests, in a request of their own."""
        chosen = self._random.sample(self._latest, min(50, len(self._latest)))
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        mixed = Batch(self.tenant, chosen, {})
        await self._until_acknowledged(client, mixed, orjson.dumps(chosen), headers, first=False)

    def _body(self, batch: Batch, headers: dict[str, str]) -> bytes:
        if self.form == "single":
            headers["Content-Type"] = "application/json"
            return orjson.dumps(batch.events[0])
        if self.form == "key":
            headers["Content-Type"] = "application/json"
            return orjson.dumps(batch.events)
        headers["Content-Type"] = "application/x-ndjson"
        lines = b"\n".join(map(orjson.dumps, batch.events))
        if self.form == "ids":
            return lines
        headers["Content-Encoding"] = "gzip"
        return gzip.compress(lines, 1, mtime=0)

    async def _until_acknowledged(
        self, client: httpx.AsyncClient, batch: Batch, body: bytes, headers: dict[str, str], *, first: bool = True
    ) -> bool:
        began, pause, sure = time.monotonic(), 0.05, first
        self.outcomes.requests += 1
        while time.monotonic() - began < self.patience:
            try:
                answer = await client.post(
                    self.urls[self._at] + "/v1/events", content=body, headers=headers, timeout=self.timeout
                )
            except httpx.TransportError as error:
                self.outcomes.attempts[type(error).__name__] += 1
                sure, wait = False, pause
            else:
                self.outcomes.attempts[str(answer.status_code)] += 1
                if answer.status_code == 202:
                    self._acknowledged(batch, answer, sure, time.monotonic() - began)
                    return True
                assert answer.status_code in _RETRIED, f"{answer.status_code}: {answer.text}"
                sure = sure and answer.status_code == 503
                wait = float(answer.headers.get("Retry-After", pause))
                assert answer.status_code != 503 or "Retry-After" in answer.headers, answer.text
            self._at = (self._at + 1) % len(self.urls)
            await asyncio.sleep(min(wait, _LONGEST_WAIT) * self._random.uniform(0.5, 1))
            pause = min(2 * pause, _LONGEST_WAIT)
        self.outcomes.given_up += 1
        return False

    def _acknowledged(self, batch: Batch, answer: httpx.Response, sure: bool, took: float) -> None:
        told = answer.json()
        assert told["accepted"] + told["duplicates"] == len(batch.events), told
        assert told["rejected"] == 0, told
        if sure:  # no attempt before this one can have been kept
            assert told["accepted"] == len(batch.events), told
        self.ledger.took(batch)
        self.outcomes.slowest = max(self.outcomes.slowest, took)
        self.outcomes.acknowledged_at.append(time.monotonic())


@asynccontextmanager
async def load(senders: Iterable[Sender], pause: float = 0.02) -> AsyncIterator[Outcomes]:
    """Clients that send while the body breaks things; at the end each has its last request acknowledged."""
    clients = list(senders)
    going = True
    async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=64)) as client:
        running = [asyncio.create_task(one.run(client, lambda: going, pause)) for one in clients]
        try:
            yield clients[0].outcomes
        finally:
            going = False
            await asyncio.gather(*running)


def crowd(
    urls: Sequence[str], keys: dict[str, str], ledger: Ledger, forms: Sequence[Form] = FORMS, **options: object
) -> list[Sender]:
    """A client of each form for every tenant, with outcomes in common."""
    outcomes = Outcomes()
    return [
        Sender(urls, key, tenant, form, ledger, outcomes, ledger.seed * 100 + number, **options)  # type: ignore[arg-type]
        for number, (tenant, key, form) in enumerate((t, k, f) for t, k in keys.items() for f in forms)
    ]
