"""Serving workers are asked as the settings say, and what they say arrives as samples."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.clock import ManualClock
from core.errors import SlowDown
from core.metrics import Metrics
from ingest.intake import Intake
from ingest.scrape.scraper import ScrapeConfig, Scraper
from ingest.scrape.targets import Target, parse_targets
from ingest.scrape.vllm import read_page
from tests.ingest.fakes import FakeLog

TARGET = Target("acme", "http://10.0.0.5:8000/metrics")

PAGE = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="meta/llama"}} 18.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="meta/llama"}} 3.0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{{engine="0",model_name="meta/llama"}} 0.71
# TYPE vllm:num_preemptions counter
vllm:num_preemptions_total{{engine="0",model_name="meta/llama"}} 2.0
# TYPE vllm:prompt_tokens counter
vllm:prompt_tokens_total{{engine="0",model_name="meta/llama"}} {prompt}
# TYPE vllm:generation_tokens counter
vllm:generation_tokens_total{{engine="0",model_name="meta/llama"}} {generation}
# TYPE vllm:e2e_request_latency_seconds histogram
vllm:e2e_request_latency_seconds_bucket{{engine="0",le="+Inf",model_name="meta/llama"}} 12.0
python_info{{version="3.12"}} 1.0
"""


def page(prompt: float = 1000, generation: float = 500) -> str:
    return PAGE.format(prompt=prompt, generation=generation)


class Worker:
    """Answers with what it is told; ``asked`` counts."""

    def __init__(self) -> None:
        self.answer: Callable[[], httpx.Response] = lambda: httpx.Response(200, text=page())
        self.asked = 0
        self.known = {"acme"}

    async def handle(self, _: httpx.Request) -> httpx.Response:
        self.asked += 1
        return self.answer()


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
async def scraper(intake: Intake, clock: ManualClock, metrics: Metrics, worker: Worker) -> AsyncIterator[Scraper]:
    transport = httpx.MockTransport(worker.handle)
    config = ScrapeConfig([TARGET], interval_s=15, timeout_s=2)
    scraper = Scraper(config, intake, clock, metrics, tenants=lambda: worker.known, transport=transport)
    yield scraper
    await scraper.stop()


async def settled(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is in the hands of another task
            await asyncio.sleep(
                0.005
            )  # a thread decodes meanwhile: a loop that spins would keep the interpreter from it


async def next_look(clock: ManualClock) -> None:
    """Move on to the next look, once the last one is over."""
    await settled(lambda: bool(clock._sleepers))
    clock.advance(15)


def looks(metrics: Metrics, outcome: str) -> float:
    value = metrics.registry.get_sample_value("llm_hub_scrapes_total", {"target": "10.0.0.5:8000", "outcome": outcome})
    return value or 0.0


async def test_it_looks_every_interval_until_it_is_stopped(
    scraper: Scraper, clock: ManualClock, metrics: Metrics, worker: Worker, log: FakeLog
) -> None:
    await scraper.start()
    await settled(lambda: looks(metrics, "ok") == 1)
    worker.answer = lambda: httpx.Response(200, text=page(2500, 800))
    await next_look(clock)
    await settled(lambda: looks(metrics, "ok") == 2)
    await scraper.stop()
    clock.advance(60)
    await asyncio.sleep(0)
    assert worker.asked == 2
    first, second = log.events()
    assert (first["tenant"], first["type"], first["source"]) == ("acme", "serving.sample", "serving")
    assert (first["worker"], first["model"]) == ("10.0.0.5:8000/0", "meta/llama")
    assert (first["running"], first["queue_depth"], first["kv_cache_usage"]) == (18, 3, 0.71)
    assert first["healthy"] is True
    assert first.get("generation_tokens_per_s") is None
    assert second["generation_tokens_per_s"] == 20
    assert '"prompt_tokens_per_s":100.0' in second["data"].replace(" ", "")
    assert '"preemptions":2' in second["data"].replace(" ", "")


async def test_a_counter_that_began_anew_is_no_rate(scraper: Scraper, worker: Worker, clock, log: FakeLog) -> None:
    await scraper.start()
    await settled(lambda: len(log.events()) == 1)
    worker.answer = lambda: httpx.Response(200, text=page(10, 5))
    await next_look(clock)
    await settled(lambda: len(log.events()) == 2)
    assert log.events()[1].get("generation_tokens_per_s") is None


def raising(error: Exception) -> Callable[[], httpx.Response]:
    def answer() -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (lambda: httpx.Response(503), "status"),
        (lambda: httpx.Response(302, headers={"location": "http://elsewhere/"}), "status"),
        (raising(httpx.ConnectError("refused")), "unreachable"),
        (raising(httpx.ReadTimeout("slow")), "timeout"),
        (lambda: httpx.Response(200, content=b"x" * ((4 << 20) + 1)), "too_large"),
        (lambda: httpx.Response(200, text="<html>"), "unreadable"),
        (lambda: httpx.Response(200, text="vllm:num_requests_running{ 1"), "unreadable"),
        (lambda: httpx.Response(200, text=""), "unreadable"),
    ],
)
async def test_a_worker_that_fails_is_not_healthy(
    scraper: Scraper, worker: Worker, metrics: Metrics, log: FakeLog, clock, answer, outcome: str
) -> None:
    worker.answer = answer
    await scraper.start()
    await settled(lambda: looks(metrics, outcome) == 1)
    (event,) = log.events()
    assert (event["worker"], event["healthy"]) == ("10.0.0.5:8000", False)


async def test_what_was_an_engine_stays_one_when_it_is_gone(
    scraper: Scraper, worker: Worker, clock: ManualClock, log: FakeLog
) -> None:
    await scraper.start()
    await settled(lambda: len(log.events()) == 1)
    worker.answer = lambda: httpx.Response(500)
    await next_look(clock)
    await settled(lambda: len(log.events()) == 2)
    assert [event["worker"] for event in log.events()] == ["10.0.0.5:8000/0"] * 2


async def test_a_busy_hub_is_counted_and_the_next_look_goes_on(
    scraper: Scraper, clock: ManualClock, metrics: Metrics, log: FakeLog
) -> None:
    log.fail_with.append(SlowDown("full"))
    await scraper.start()
    await settled(lambda: looks(metrics, "refused") == 1)
    await next_look(clock)
    await settled(lambda: looks(metrics, "ok") == 1)


async def test_nobody_is_asked_for_a_tenant_that_is_none(scraper: Scraper, worker: Worker, metrics: Metrics) -> None:
    worker.known = set()
    await scraper.start()
    await settled(lambda: looks(metrics, "no_tenant") == 1)
    assert worker.asked == 0


async def test_several_processes_count_once(intake: Intake, clock: ManualClock, metrics: Metrics, log, worker) -> None:
    for _ in range(2):
        transport = httpx.MockTransport(worker.handle)
        scraper = Scraper(ScrapeConfig([TARGET]), intake, clock, metrics, tenants=lambda: {"acme"}, transport=transport)
        await scraper.start()
        await settled(lambda: worker.asked and len(log.events()) >= 1)
        await scraper.stop()
    assert len({event["id"] for event in log.events()}) == 1


async def test_without_targets_nothing_is_opened(intake: Intake, clock: ManualClock, metrics: Metrics) -> None:
    scraper = Scraper(ScrapeConfig(), intake, clock, metrics, tenants=set)
    await scraper.start()
    assert scraper._client is None
    assert scraper._looking == []
    await scraper.stop()


@pytest.mark.parametrize(
    "text",
    [
        "gpu-1:8000",
        "ftp://gpu-1/metrics",
        "http://",
        "http://user:pw@gpu-1/metrics",
        "a b!=http://x/",
        "http://x:99999/",
    ],
)
def test_what_is_no_target(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|is no|none"):
        parse_targets(text)


@given(st.text(max_size=200) | st.text(max_size=60).map(lambda text: "vllm:" + text))
def test_any_page_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert read_page(text)
