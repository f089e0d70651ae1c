"""Asks serving workers for their metrics, and hands what they say to the intake like any sender's events."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson

from core.clock import Clock
from core.errors import HubError
from core.ids import derived_id
from core.metrics import Metrics
from ingest.body import once
from ingest.decode.ndjson import decode_ndjson
from ingest.intake import Delivery, Intake
from ingest.scrape.targets import Target
from ingest.scrape.vllm import Engine, rates, read_page

logger = logging.getLogger("llm_hub.scrape")

_PAGE_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class ScrapeConfig:
    """Whom to ask, how often, and how long to wait for an answer."""

    targets: Sequence[Target] = ()
    interval_s: float = 15.0
    timeout_s: float = 5.0


class _Failed(Exception):
    """A look that brought nothing; ``outcome`` is a word for the metrics."""

    def __init__(self, outcome: str, detail: str) -> None:
        super().__init__(detail)
        self.outcome = outcome


@dataclass(slots=True)
class _Seen:
    """What the last good look at a worker showed."""

    at: float
    engines: dict[str, Engine]


class Scraper:
    """Looks at each target every ``interval_s``; without targets it does nothing and opens nothing.

    A worker that does not answer is a sample too: ``healthy`` false. Ids are made of worker and interval, so that
    several processes with the same settings count once.

    Parameters
    ----------
    config
        Whom to ask.
    intake
        Takes the samples in.
    clock, metrics
        Of the process.
    tenants
        The tenants there are; nobody is asked for a tenant that is none.
    transport
        The way to the workers; a test gives its own.
    """

    def __init__(
        self,
        config: ScrapeConfig,
        intake: Intake,
        clock: Clock,
        metrics: Metrics,
        *,
        tenants: Callable[[], Collection[str]],
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        self._intake = intake
        self._clock = clock
        self._metrics = metrics
        self._tenants = tenants
        self._transport = transport
        self._client: httpx.AsyncClient | None = None
        self._looking: list[asyncio.Task[None]] = []
        self._seen: dict[Target, _Seen] = {}

    async def start(self) -> None:
        """Begin to look, if there is anybody to look at."""
        if self._config.targets:
            self._client = httpx.AsyncClient(
                timeout=self._config.timeout_s, transport=self._transport, trust_env=False, follow_redirects=False
            )
        for target in self._config.targets:
            task = asyncio.create_task(self._keep_looking(target), name=f"scrape {target.worker}")
            self._looking.append(task)

    async def stop(self) -> None:
        """Look no more. Idempotent."""
        for task in self._looking:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._looking.clear()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _keep_looking(self, target: Target) -> None:
        while True:
            outcome = await self.look(target)
            self._metrics.scrapes.labels(target.worker, outcome).inc()
            await self._clock.sleep(self._config.interval_s)

    async def look(self, target: Target) -> str:
        """Ask a worker once; a word for how it went. Raises nothing but cancellation."""
        if target.tenant not in self._tenants():
            logger.warning("%s is scraped for the tenant %s, which does not exist", target.worker, target.tenant)
            return "no_tenant"
        outcome = "ok"
        try:
            samples = self._samples(target, read_page(await self._page(target)))
        except (_Failed, ValueError) as error:
            outcome = error.outcome if isinstance(error, _Failed) else "unreadable"
            logger.warning("%s: %s", target.worker, error)
            samples = [{"worker": worker, "healthy": False} for worker in self._workers(target)]
        try:
            await self._intake.take(self._delivery(target, samples))
        except HubError as error:  # busy, or full: the next look is a new one
            logger.warning("samples of %s were not taken: %s", target.worker, error.detail)
            return "refused"
        return outcome

    async def _page(self, target: Target) -> str:
        assert self._client is not None, "the scraper has not been started"
        page = bytearray()
        try:
            async with asyncio.timeout(self._config.timeout_s), self._client.stream("GET", target.url) as answer:
                if answer.status_code != 200:
                    raise _Failed("status", f"answered {answer.status_code}")
                async for chunk in answer.aiter_bytes():
                    page += chunk
                    if len(page) > _PAGE_BYTES:
                        raise _Failed("too_large", f"the page is larger than {_PAGE_BYTES} bytes")
        except (TimeoutError, httpx.TimeoutException):
            raise _Failed("timeout", f"no answer within {self._config.timeout_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _Failed("unreachable", f"{type(error).__name__} {error}") from None
        return page.decode(errors="replace")

    def _samples(self, target: Target, engines: dict[str, Engine]) -> list[dict[str, Any]]:
        now, before = self._clock.monotonic(), self._seen.get(target)
        self._seen[target] = _Seen(now, engines)
        samples = []
        for name, engine in engines.items():
            last = before.engines.get(name) if before else None
            speed = rates(last, engine, now - before.at) if last and before else {}
            model = {"model": engine.model} if engine.model else {}
            samples.append({"worker": _worker(target, name), **model, **engine.fields, **speed, "healthy": True})
        return samples

    def _workers(self, target: Target) -> list[str]:
        seen = self._seen.get(target)
        return [_worker(target, name) for name in seen.engines] if seen else [target.worker]

    def _delivery(self, target: Target, samples: Sequence[dict[str, Any]]) -> Delivery:
        now = self._clock.now()
        turn = int(now.timestamp() // self._config.interval_s)
        lines = [
            orjson.dumps(
                {
                    "id": str(derived_id("scrape", target.url, sample["worker"], turn)),
                    "type": "serving.sample",
                    "source": "serving",
                    "time": now.isoformat(),
                    "data": sample,
                }
            )
            for sample in samples
        ]
        return Delivery(target.tenant, "scrape", once(b"\n".join(lines)), "", None, decode_ndjson)


def _worker(target: Target, engine: str) -> str:
    return f"{target.worker}/{engine}" if engine else target.worker
