"""Runs a simulation: into files, or to a hub, as fast as it goes or paced by the clock."""

import asyncio
import gzip
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol, Self, cast

import httpx
import orjson
import zstandard

from core.clock import Clock, SystemClock
from core.errors import SettingsError
from hub.sender import Encoding, HubSender, Totals
from hub.simulate.config import SimBatch, SimulationConfig
from hub.simulate.simulation import Simulation
from hub.simulate.via import Body, Speech, speech

Progress = Callable[[int, float], None]
"""Told after each batch: events so far, and the share of the simulated time that has passed, 0–1."""

_LIVE_STEP_US = 250_000


@dataclass(slots=True)
class Outcome:
    """What a run has made: ``events`` and, of a hub, the totals of each tenant."""

    events: int = 0
    totals: dict[str, Totals] = field(default_factory=dict)


async def simulate(
    config: SimulationConfig,
    *,
    out: Path | None = None,
    url: str | None = None,
    key: str | Mapping[str, str] | None = None,
    live: bool = False,
    labels: Path | None = None,
    batch_size: int = 5000,
    connections: int = 4,
    encoding: Encoding | None = None,
    via: str = "events",
    progress: Progress | None = None,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Outcome:
    """Run a simulation to its end.

    Parameters
    ----------
    config
        What to simulate.
    out
        File for NDJSON, compressed by its suffix (``.gz``, ``.zst``); with several tenants one file each, the
        tenant's name before the suffix.
    url, key
        A hub, and the key of each tenant (a single key serves a single tenant). Either ``out`` or these.
    live
        Hold each event back until its time has come on ``clock``. What lies in the past goes at full speed, so that a
        start before now fills the history first.
    labels
        File for the truth about the faults, a JSON array; written before the first event.
    batch_size, connections, encoding
        See :class:`hub.sender.HubSender`; live batches are at most a quarter of a second long.
    via
        The door they come through, see :data:`hub.simulate.via.VIA`; files hold the hub's own form only.
    progress
        Told after each batch.
    clock, transport
        For tests.

    Raises
    ------
    SettingsError
        Neither or both of ``out`` and ``url`` are given, a tenant has no key, or there is no such door.
    HubError
        The hub refused a batch.
    """
    simulation = Simulation(config)
    if labels:
        await asyncio.to_thread(write_labels, simulation, labels)
    if (out is None) == (url is None):
        raise SettingsError("give either a file or a hub's URL and key")
    speak = speech(via)
    if out and via != "events":
        raise SettingsError(f"files hold the hub's own events: send --via {via} to a hub")
    clock = clock or SystemClock()
    batches = simulation.batches(batch_size, _LIVE_STEP_US if live else None)
    sinks = _to_files(config, out) if out else _to_hub(config, str(url), key, connections, encoding, clock, transport)
    outcome = Outcome()
    async with AsyncExitStack() as stack:
        for tenant, sink in sinks.items():
            await stack.enter_async_context(sink)
            outcome.totals[tenant] = sink.totals
        # Making and encoding a block takes some tenths of a second: not in the way of a hub that shares this loop.
        while (made := await asyncio.to_thread(_next_batch, batches, speak)) is not None:
            batch, bodies = made
            if live and (wait := batch.last_us / 1e6 - clock.now().timestamp()) > 0:
                await clock.sleep(wait)
            for body in bodies:
                await sinks[batch.tenant].submit(body.content, path=body.path, content_type=body.content_type)
            outcome.events += len(batch.events)
            if progress:
                progress(outcome.events, (batch.last_us - config.start_us) / (config.end_us - config.start_us))
    return outcome


def write_labels(simulation: Simulation, path: Path) -> None:
    """Write the truth about the faults as a JSON array."""
    path.write_bytes(
        orjson.dumps([label.as_dict() for label in simulation.labels()], option=orjson.OPT_INDENT_2) + b"\n"
    )


class _Sink(Protocol):
    """Where the bodies of a tenant go."""

    totals: Totals

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *error: object) -> None: ...

    async def submit(self, body: bytes, *, path: str, content_type: str) -> None: ...


class _File:
    """A file of NDJSON, compressed by its suffix."""

    def __init__(self, path: Path) -> None:
        self.totals = Totals()
        self._path = path
        self._file: IO[bytes] | None = None

    async def __aenter__(self) -> Self:
        self._file = await asyncio.to_thread(open_for_writing, self._path)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._file:
            await asyncio.to_thread(self._file.close)

    async def submit(self, body: bytes, *, path: str, content_type: str) -> None:  # noqa: ARG002 - a file has no door
        if self._file:
            await asyncio.to_thread(self._file.write, body)
        self.totals.accepted += body.count(b"\n")
        self.totals.batches += 1


def open_for_writing(path: Path) -> IO[bytes]:
    """A binary file that compresses by its suffix (``.gz``, ``.zst``); the same content gives the same bytes."""
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.GzipFile(path, "wb", mtime=0))
    if path.suffix == ".zst":
        return cast(IO[bytes], zstandard.open(path, "wb"))
    return path.open("wb")


def _next_batch(batches: Iterator[SimBatch], speak: Speech) -> tuple[SimBatch, list[Body]] | None:
    batch = next(batches, None)
    return None if batch is None else (batch, speak(batch.events))


def _to_files(config: SimulationConfig, out: Path) -> Mapping[str, _Sink]:
    if len(config.tenants) == 1:
        return {config.tenants[0]: _File(out)}
    stem, dot, suffixes = out.name.partition(".")
    return {tenant: _File(out.with_name(f"{stem}.{tenant}{dot}{suffixes}")) for tenant in config.tenants}


def _to_hub(
    config: SimulationConfig,
    url: str,
    key: str | Mapping[str, str] | None,
    connections: int,
    encoding: Encoding | None,
    clock: Clock,
    transport: httpx.AsyncBaseTransport | None,
) -> Mapping[str, _Sink]:
    keys = {config.tenants[0]: key} if isinstance(key, str) else dict(key or {})
    missing = [tenant for tenant in config.tenants if tenant not in keys]
    if missing:
        raise SettingsError(f"no key for tenant {', '.join(missing)}")
    return {
        tenant: HubSender(
            url, keys[tenant], connections=connections, encoding=encoding, clock=clock, transport=transport
        )
        for tenant in config.tenants
    }
