"""Replay: recordings arrive whole, once, at their own pace, with errors found again in their files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import pyarrow as pa
import pytest

from core.errors import BadRequest, NotFound
from hub.replay import Replayed, replay
from hub.sender import HubSender, Totals
from tests.hub.fakes import NOW, FakeHub, JumpingClock

FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def event(second: float) -> bytes:
    time = (FIRST + timedelta(seconds=second)).isoformat()
    return orjson.dumps({"type": "job.run", "source": "test", "time": time, "data": {"job": "j", "state": "started"}})


def record(path: Path, *seconds: float) -> Path:
    path.write_bytes(b"".join(event(second) + b"\n" for second in seconds))
    return path


async def run(hub: FakeHub, clock: JumpingClock, *files: Path, **options: object) -> Replayed:
    async with HubSender("http://hub.test", "lh_x", transport=hub.transport, clock=clock) as sender:
        return await replay(files, sender=sender, clock=clock, **options)  # type: ignore[arg-type]


def arrivals(hub: FakeHub) -> list[float]:
    return [at for at, request in hub.taken for _ in request.content.splitlines()]


async def test_unpaced_the_bytes_arrive_as_they_are_and_at_once(tmp_path: Path) -> None:
    path, clock = record(tmp_path / "a.ndjson", *range(50)), JumpingClock()
    hub = FakeHub(clock=clock)
    result = await run(hub, clock, path, batch_size=20)
    assert b"".join(request.content for _, request in hub.taken) == path.read_bytes()
    assert (result.rows, len(hub.taken), clock.slept) == (50, 3, [])


@pytest.mark.parametrize("speed", [1.0, 10.0, 0.5])
async def test_paced_each_row_arrives_at_its_time_over_the_speed(tmp_path: Path, speed: float) -> None:
    seconds = [0, 0.1, 4, 9, 9.2, 30]
    clock = JumpingClock()
    hub = FakeHub(clock=clock)
    await run(hub, clock, record(tmp_path / "a.ndjson", *seconds), speed=speed)
    assert arrivals(hub) == pytest.approx([second / speed for second in seconds], abs=0.26)


async def test_paced_files_are_merged_by_their_times(tmp_path: Path) -> None:
    one, two = record(tmp_path / "a.ndjson", 0, 10, 20), record(tmp_path / "b.ndjson", 5, 15, 25)
    clock = JumpingClock()
    hub = FakeHub(clock=clock)
    await run(hub, clock, one, two, speed=1.0)
    assert hub.lines == [event(second) for second in (0, 5, 10, 15, 20, 25)]
    assert arrivals(hub) == [0, 5, 10, 15, 20, 25]


async def test_shifted_the_last_event_is_now(tmp_path: Path) -> None:
    files = [record(tmp_path / "a.ndjson", 0, 60), record(tmp_path / "b.ndjson", 90)]
    clock = JumpingClock()
    hub = FakeHub(clock=clock)
    await run(hub, clock, *files, shift_to_now=True)
    times = [datetime.fromisoformat(orjson.loads(line)["time"]) for line in hub.lines]
    assert times == [NOW - timedelta(seconds=90), NOW - timedelta(seconds=30), NOW]


async def test_nothing_to_shift_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson"
    path.write_bytes(b'{"type": "job.run"}\n')
    with pytest.raises(BadRequest, match="time to shift"):
        await run(FakeHub(), JumpingClock(), path, shift_to_now=True)


async def test_backpressure_is_waited_out_and_nothing_is_sent_twice(tmp_path: Path) -> None:
    clock = JumpingClock()
    troubles = [httpx.Response(503, headers={"Retry-After": "3"}), httpx.ReadError("reset"), httpx.Response(503)]
    hub = FakeHub(*troubles, clock=clock)
    path = record(tmp_path / "a.ndjson", *range(100))
    result = await run(hub, clock, path, batch_size=10)
    assert sorted(hub.lines) == sorted(path.read_bytes().splitlines())
    assert result.totals.accepted == 100
    assert 3.0 in clock.slept


async def test_a_replay_that_was_cut_short_can_be_repeated(tmp_path: Path) -> None:
    path = record(tmp_path / "a.ndjson", *range(100))
    hub = FakeHub()
    await run(hub, JumpingClock(), path, batch_size=10)
    again = await run(hub, JumpingClock(), path, batch_size=10)
    assert (again.totals.accepted, again.totals.duplicates) == (0, 100)


async def test_refused_rows_are_found_in_their_file(tmp_path: Path) -> None:
    one, two = record(tmp_path / "a.ndjson", *range(5)), record(tmp_path / "b.ndjson", *range(5))
    hub = FakeHub()
    error = {"index": 1, "field": "data.job", "reason": "is required"}
    hub.answer = lambda request: httpx.Response(202, json={"accepted": 4, "rejected": 1, "errors": [error]})
    result = await run(hub, JumpingClock(), one, two)
    assert [(bad.path, bad.line) for bad in result.bad_rows] == [(one, 2), (two, 2)]
    assert result.summary() == [
        "8 accepted, 2 rejected, 0 duplicates",
        f"2 × data.job: is required (first at {one}:2)",
    ]


def test_a_reason_beyond_the_examples_is_summed_up_too() -> None:
    totals = Totals(rejected=3)
    totals.reasons["", "is no event"] = 3
    assert Replayed(3, totals).summary()[1] == "3 × row: is no event"


async def test_arrow_files_arrive_as_arrow(tmp_path: Path) -> None:
    table = pa.table({"type": ["job.run"] * 3, "time": pa.array([FIRST] * 3, pa.timestamp("us", tz="UTC"))})
    path = tmp_path / "a.arrow"
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    hub = FakeHub()
    result = await run(hub, JumpingClock(), path)
    ((_, request),) = hub.taken
    assert request.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
    assert pa.ipc.open_stream(request.content).read_all() == table
    assert result.rows == 3


async def test_otlp_goes_to_its_own_door(tmp_path: Path) -> None:
    path = tmp_path / "spans.json"
    spans = b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": []}, {}]}, {"spans": [{}]}]}]}'
    path.write_bytes(spans + b'\n{"resourceLogs": []}\n')
    hub = FakeHub()
    partial = {"partialSuccess": {"rejectedSpans": "1", "errorMessage": "rejected 1 of 3 spans"}}
    hub.answer = lambda request: httpx.Response(200, json=partial if request.url.path == "/v1/traces" else {})
    result = await run(hub, JumpingClock(), path)
    assert result.summary() == ["2 accepted, 1 rejected, 0 duplicates", "1 × row: rejected 1 of 3 spans"]
    assert sorted(request.url.path for _, request in hub.taken) == ["/v1/logs", "/v1/traces"]
    assert {request.headers["Content-Type"] for _, request in hub.taken} == {"application/json"}


async def test_a_hub_without_that_door_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "spans.json"
    path.write_bytes(b'{"resourceSpans": []}\n')
    with pytest.raises(NotFound, match=r"/v1/traces answered 404.*no such door"):
        await run(FakeHub(httpx.Response(404)), JumpingClock(), path)


async def test_another_404_is_passed_on(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"/v1/events answered 404$"):
        await run(FakeHub(httpx.Response(404)), JumpingClock(), record(tmp_path / "a.ndjson", 1))


async def test_a_missing_file_and_a_wrong_speed_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.ndjson: no such file"):
        await run(FakeHub(), JumpingClock(), tmp_path / "none.ndjson")
    with pytest.raises(BadRequest, match="speed"):
        await run(FakeHub(), JumpingClock(), tmp_path / "none.ndjson", speed=0.0)


async def test_progress_reaches_the_end(tmp_path: Path) -> None:
    told: list[tuple[int, float]] = []
    path = record(tmp_path / "a.ndjson", *range(5000))
    await run(FakeHub(), JumpingClock(), path, progress=lambda rows, share: told.append((rows, share)))
    assert told == sorted(told)
    assert told[-1] == (5000, 1.0)
