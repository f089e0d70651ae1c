"""Each trouble that the doctor is for, made on purpose; what it says names what to do."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from broker.factory import open_log
from broker.log import Log, NewRecord
from broker.topics import DEAD_LETTERS, EVENTS, hub_topics
from core.clock import Clock, ManualClock, SystemClock
from hub import cli
from hub.client import HubClient
from hub.doctor import CHECKS, examine, machine, running, stores
from hub.doctor.finding import Finding, found
from hub.settings import Settings
from hub.target import Folder, Running
from hub.wiring import GROUP
from tests.hub.running import settings_of


async def finding(part: str, settings: Settings) -> Finding:
    return await found(part, dict(CHECKS)[part], settings)


async def bad(part: str, settings: Settings) -> str:
    told = await finding(part, settings)
    assert not told.good, told
    return told.text


@asynccontextmanager
async def log_of(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Log]:
    log = open_log(settings.broker_url, clock=clock or SystemClock())
    await log.start()
    for topic in hub_topics(1):
        await log.create_topic(topic)
    yield log
    await log.stop()


async def test_a_folder_that_nobody_has_used_is_in_order(tmp_path: Path) -> None:
    told = await examine(Folder(settings_of(tmp_path / "data")))
    assert [one.part for one in told] == [part for part, _ in CHECKS]
    assert all(one.good for one in told), told


async def test_too_few_open_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (256, 4096))
    assert "ulimit -n 4096" in await bad("files", settings_of(tmp_path))


async def test_keys_that_others_may_read_or_that_are_gone(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    (tmp_path / "admin.key").write_text("lh_a\n")
    (tmp_path / "admin.key").chmod(0o600)
    assert "restore it from a backup" in await bad("keys", settings)
    (tmp_path / "data.key").write_bytes(b"x" * 32)
    (tmp_path / "data.key").chmod(0o644)
    assert "chmod 600" in await bad("keys", settings)
    (tmp_path / "data.key").chmod(0o600)
    assert (await finding("keys", settings)).good
    (tmp_path / "data.key").write_bytes(b"too short")
    assert "32 bytes" in await bad("keys", settings)
    given = settings_of(tmp_path, data_key="ab" * 32)
    assert (await finding("keys", given)).text == "the data key is a setting"


async def test_what_waits_in_an_embedded_log_is_no_trouble(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    async with log_of(settings, ManualClock(datetime.now(UTC) - timedelta(hours=1))) as log:
        await log.append([NewRecord(EVENTS, 0, None, b"a"), NewRecord(EVENTS, 0, None, b"b")])
    told = await finding("lag", settings)
    assert told.good
    assert told.text.startswith("2 records wait to be stored, the oldest for 36")
    assert "the next start stores them" in told.text
    assert "2 records of events in 1 partitions; it can be written" in (await finding("log", settings)).text


async def test_what_waits_in_a_log_that_workers_share_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path)
    monkeypatch.setattr(stores, "scheme_of", lambda _: "kafka")
    assert (await finding("lag", settings)).text == "none; the log is empty"
    async with log_of(settings, ManualClock(datetime.now(UTC) - timedelta(hours=1))) as log:
        assert (await finding("lag", settings)).text == "none; all is stored"
        await log.append([NewRecord(EVENTS, 0, None, b"a")])
    assert "llm-hub run streams" in await bad("lag", settings)


async def test_records_that_left_before_they_were_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Emptied:
        async def range(self, *_: Any) -> tuple[int, int]:
            return 50, 60

        async def committed(self, group: str, *_: Any) -> int:
            assert group == GROUP
            return 20

        def partitions(self, _: str) -> int:
            return 1

    @asynccontextmanager
    async def opened(_: Settings) -> AsyncIterator[Any]:
        yield Emptied()

    monkeypatch.setattr(stores, "_log", opened)
    told = await bad("lag", settings_of(tmp_path))
    assert "30 records left the log" in told
    assert "LLM_HUB_LOG_RETENTION_HOURS" in told


async def test_dead_letters_that_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path)
    assert (await finding("dead letters", settings)).text == "none"
    letters = [NewRecord(DEAD_LETTERS, 0, b"acme", b"sealed")] * 3
    async with log_of(settings) as log:
        await log.append(letters)
    assert (await finding("dead letters", settings)).text == "3 kept, 3 of the last hour"
    monkeypatch.setattr(stores, "LETTERS", 2)
    assert "mend their cause first" in await bad("dead letters", settings)


async def test_a_log_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(tmp_path)
    async with log_of(settings):
        pass
    kind = type(open_log(settings.broker_url, clock=SystemClock()))

    async def full(*_: Any) -> None:
        from core.errors import SlowDown

        raise SlowDown("the disk of the log is full")

    monkeypatch.setattr(kind, "append", full)
    assert await bad("log", settings) == "the disk of the log is full"


async def test_a_warehouse_whose_clock_is_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    off = datetime.now(UTC) + timedelta(minutes=5)
    monkeypatch.setattr(stores, "_clock_of", lambda _: off)
    assert "follow a time server" in await bad("warehouse", settings_of(tmp_path))


async def test_stores_that_are_not_there_and_no_secret_is_told(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        broker_url="kafka://127.0.0.1:1",
        warehouse_url="clickhouse://somebody:geheim@127.0.0.1:1/hub",
        database_url="postgresql+psycopg://somebody:geheim@127.0.0.1:1/hub",
    )
    told = await examine(Folder(settings))
    wrong = {one.part: one.text for one in told if not one.good}
    assert set(wrong) == {"metadata", "log", "lag", "dead letters", "warehouse"}
    assert "geheim" not in json.dumps(wrong)


def test_what_a_check_did_not_expect_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def breaks(_: Settings) -> str:
        raise ZeroDivisionError("geheim")

    async def hangs(_: Settings) -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr("hub.doctor.finding.PATIENCE", 0.01)
    settings = settings_of(tmp_path)
    told = asyncio.run(found("a", breaks, settings))
    assert told == Finding("a", False, "cannot be examined (ZeroDivisionError): see that it runs and can be reached")
    assert "does not answer within" in asyncio.run(found("b", hangs, settings)).text


METRICS = """
llm_hub_info{version="9.9.9",role="all"} 1
llm_hub_streams_lag_records{partition="0"} 0
llm_hub_streams_lag_records{partition="1"} 7
llm_hub_streams_lag_seconds{partition="0"} 4000
llm_hub_streams_lag_seconds{partition="1"} 300
llm_hub_streams_poison_total{stage="decode"} 2
process_open_fds 900
process_max_fds 1000
llm_hub_log_queued_bytes 90
llm_hub_log_queue_limit_bytes 100
"""
READY = {
    "status": "failed",
    "checks": {
        "streams": {"status": "failed", "state": "given_up", "detail": "1001 records in a row cannot be processed"},
        "disk": {"status": "ok", "state": "running", "detail": "9 MiB free"},
    },
}


def answering(
    monkeypatch: pytest.MonkeyPatch, metrics: str = METRICS, date: datetime | None = None, query: int = 200
) -> Callable[[], list[Finding]]:
    """A hub that answers so, and what the doctor finds of it."""
    when = (date or datetime.now(UTC)).strftime("%a, %d %b %Y %H:%M:%S GMT")

    def answer(request: httpx.Request) -> httpx.Response:
        match request.url.path:
            case "/health/ready":
                return httpx.Response(503, json=READY)
            case "/metrics":
                return httpx.Response(200, text=metrics)
            case "/v1/query":
                return httpx.Response(query, json={"detail": "told", "rows": []})
        return httpx.Response(200, json={}, headers={"Date": when} if date is not MISSING else {})

    def client(target: Running) -> HubClient:
        return HubClient(target, httpx.MockTransport(answer))

    monkeypatch.setattr(running, "HubClient", client)
    return lambda: running.examine(Running("http://hub", "lh_a"))


MISSING = datetime(1999, 1, 1, tzinfo=UTC)


def test_troubles_of_a_running_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {one.part: one for one in answering(monkeypatch)()}
    wrong = {part for part, one in told.items() if not one.good}
    assert wrong == {"hub", "streams", "lag", "dead letters", "files", "queues"}
    assert told["streams"].text == "1001 records in a row cannot be processed"
    assert told["lag"].text.startswith("7 records wait to be stored")
    assert "ulimit" in told["files"].text
    assert "log_queued_bytes" in told["queues"].text
    assert "9.9.9" in told["release"].text
    assert told["clock"].good


def test_rows_that_doors_reject_are_told_when_they_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "llm_hub_ingest_dead_letters_total 200\nllm_hub_ingest_accepted_total {}\n"
    few, many = (answering(monkeypatch, page.format(good))() for good in (100_000, 1_000))
    assert {one.part: one.good for one in few}["dead letters"]
    assert not {one.part: one.good for one in many}["dead letters"]
    assert not {"lag", "files"} & {one.part for one in many}  # another role, which has none


@pytest.mark.parametrize(("hours", "good"), [(0, True), (1, False)])
def test_the_clock_of_a_running_hub(monkeypatch: pytest.MonkeyPatch, hours: int, good: bool) -> None:
    told = {one.part: one for one in answering(monkeypatch, date=datetime.now(UTC) - timedelta(hours=hours))()}
    assert told["clock"].good == good


def test_a_hub_that_does_not_tell_its_time_or_answers_no_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {one.part: one for one in answering(monkeypatch, date=MISSING, query=404)()}
    assert told["clock"].good
    assert "questions" not in told
    told = {one.part: one for one in answering(monkeypatch, query=503)()}
    assert told["questions"].text.startswith("503 told")


def test_the_command_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        status = cli.execute(["doctor", "--json", *arguments])
        return status, json.loads(capsys.readouterr().out)

    status, told = run("--data-dir", str(tmp_path / "data"))
    assert (status, told["ok"]) == (0, True)
    assert {"part", "ok", "text"} == set(told["findings"][0])
    status, told = run("--url", "http://127.0.0.1:1", "--key", "lh_x")
    assert (status, told["ok"], told["findings"][0]["part"]) == (1, False, "hub")
    monkeypatch.setenv("LLM_HUB_PROT", "1")
    status, told = run("--data-dir", str(tmp_path / "data"))
    assert status == 1
    assert told["findings"] == [{"part": "settings", "ok": False, "text": told["findings"][0]["text"]}]
    assert "did you mean 'port'" in told["findings"][0]["text"]
    assert cli.execute(["doctor"]) == 1
    assert capsys.readouterr().out.startswith("FAIL  settings: unknown setting")


def test_a_clock_before_the_first_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "BUILT", datetime(2999, 1, 1, tzinfo=UTC))
    check: Callable[[Settings], Awaitable[str]] = machine.clock
    assert "set it" in asyncio.run(found("clock", check, settings_of(tmp_path))).text
