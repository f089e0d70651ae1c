"""Running a simulation: into files, to a hub, paced by the clock."""

import gzip
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import orjson
import pytest
import zstandard

from core.errors import SettingsError, Unauthenticated
from hub.simulate import Simulation, SimulationConfig, simulate
from tests.hub.fakes import FakeHub, JumpingClock

CONFIG = SimulationConfig(seed=1, rate=50, duration=timedelta(seconds=60), scenario="token_leak")
TWO = SimulationConfig(seed=1, rate=50, duration=timedelta(seconds=30), tenants=("acme", "globex"))


def expected(config: SimulationConfig) -> list[str]:
    return [event["id"] for batch in Simulation(config).batches(5000) for event in batch.events]


def made(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def ids(content: bytes) -> list[str]:
    return [orjson.loads(line)["id"] for line in content.splitlines()]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
async def test_into_a_file(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"events.ndjson{suffix}"
    outcome = await simulate(CONFIG, out=out)
    content = out.read_bytes()
    if suffix:
        content = (
            gzip.decompress(content)
            if suffix == ".gz"
            else zstandard.ZstdDecompressor().decompressobj().decompress(content)
        )
    assert ids(content) == expected(CONFIG)
    assert outcome.events == outcome.totals["default"].accepted == len(expected(CONFIG))


async def test_the_same_file_twice_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.ndjson.gz", "b.ndjson.gz"):
        await simulate(CONFIG, out=tmp_path / name)
    first, second = ((tmp_path / name).read_bytes() for name in ("a.ndjson.gz", "b.ndjson.gz"))
    assert gzip.decompress(first) == gzip.decompress(second)


async def test_several_tenants_have_a_file_each(tmp_path: Path) -> None:
    await simulate(TWO, out=tmp_path / "events.ndjson.gz")
    assert {path.name for path in made(tmp_path)} == {"events.acme.ndjson.gz", "events.globex.ndjson.gz"}


async def test_labels_are_written(tmp_path: Path) -> None:
    await simulate(CONFIG, out=tmp_path / "events.ndjson", labels=tmp_path / "labels.json")
    assert orjson.loads((tmp_path / "labels.json").read_bytes()) == [
        label.as_dict() for label in Simulation(CONFIG).labels()
    ]


async def test_to_a_hub_each_tenant_under_its_key() -> None:
    hub = FakeHub()
    outcome = await simulate(
        TWO, url="http://hub.test/", key={"acme": "lh_a", "globex": "lh_g"}, transport=hub.transport
    )
    assert sorted(ids(b"\n".join(hub.lines))) == sorted(expected(TWO))
    assert {request.headers["Authorization"] for _, request in hub.taken} == {"Bearer lh_a", "Bearer lh_g"}
    assert sum(totals.accepted for totals in outcome.totals.values()) == outcome.events


async def test_live_events_arrive_when_their_time_has_come() -> None:
    start = datetime(2026, 11, 20, 12, tzinfo=UTC)
    # Half of it lies in the past: that half is sent at once.
    clock = JumpingClock(start + timedelta(seconds=15))
    hub = FakeHub(clock=clock)
    config = SimulationConfig(seed=1, rate=50, start=start, duration=timedelta(seconds=30))
    await simulate(config, url="http://hub.test", key="lh_a", live=True, transport=hub.transport, clock=clock)
    lateness = []
    for at, request in hub.taken:
        last = datetime.fromisoformat(orjson.loads(request.content.splitlines()[-1])["time"])
        lateness.append((start + timedelta(seconds=15 + at) - last).total_seconds())
    assert min(lateness) > -0.01
    assert all(late < 0.5 for (at, _), late in zip(hub.taken, lateness, strict=True) if at > 0)
    assert sum(clock.slept) == pytest.approx(15, abs=0.5)


async def test_progress_goes_to_the_end() -> None:
    told: list[tuple[int, float]] = []
    outcome = await simulate(
        CONFIG, url="http://hub.test", key="lh_a", transport=FakeHub().transport, batch_size=500,
        progress=lambda events, share: told.append((events, share)),
    )  # fmt: skip
    assert told == sorted(told)
    assert told[-1][0] == outcome.events
    assert told[-1][1] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either a file or a hub"),
        ({"out": Path("x"), "url": "http://hub.test"}, "either a file or a hub"),
        ({"url": "http://hub.test"}, "no key for tenant acme, globex"),
        ({"url": "http://hub.test", "key": "lh_a"}, "no key for tenant globex"),
    ],
)
async def test_wrong_calls_are_told(options: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        await simulate(TWO, **options)  # type: ignore[arg-type]


async def test_a_refusal_ends_it() -> None:
    hub = FakeHub(httpx.Response(401))
    with pytest.raises(Unauthenticated):
        await simulate(CONFIG, url="http://hub.test", key="lh_x", transport=hub.transport)
