"""Runs a simulation: into files, or to a hub, as fast as it goes or paced by the clock."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from core.clock import Clock, SystemClock
from core.errors import SettingsError
from hub.sender import Encoding, HubSender, Totals
from hub.simulate.config import SimulationConfig
from hub.simulate.sdk_sink import SdkSink
from hub.simulate.simulation import Simulation
from hub.simulate.sinks import DoorSink, FileSink, Sink
from hub.simulate.via import SDK, speech

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
        The door they come through, see :data:`hub.simulate.via.DOORS`; files hold the hub's own form only.
    progress
        Told after each batch.
    clock, transport
        For tests; the SDK has a way of its own.

    Raises
    ------
    SettingsError
        Neither or both of ``out`` and ``url`` are given, a tenant has no key, there is no such door, or the SDK is not
        installed.
    HubError
        The hub refused a batch.
    """
    simulation = Simulation(config)
    if labels:
        await asyncio.to_thread(write_labels, simulation, labels)
    if (out is None) == (url is None):
        raise SettingsError("give either a file or a hub's URL and key")
    if out and via != "events":
        raise SettingsError(f"files hold the hub's own events: send --via {via} to a hub")
    clock = clock or SystemClock()

    def door(key: str) -> Sink:
        if via == SDK:
            return SdkSink(str(url), key)
        sender = HubSender(str(url), key, connections=connections, encoding=encoding, clock=clock, transport=transport)
        return DoorSink(sender, speech(via))

    batches = simulation.batches(batch_size, _LIVE_STEP_US if live else None)
    sinks = _to_files(config, out) if out else _to_hub(config, key, door)
    outcome = Outcome()
    async with AsyncExitStack() as stack:
        for tenant, sink in sinks.items():
            await stack.enter_async_context(sink)
            outcome.totals[tenant] = sink.totals
        # Making a block takes some tenths of a second: not in the way of a hub that shares this loop.
        while (batch := await asyncio.to_thread(next, batches, None)) is not None:
            if live and (wait := batch.last_us / 1e6 - clock.now().timestamp()) > 0:
                await clock.sleep(wait)
            await sinks[batch.tenant].take(batch.events)
            outcome.events += len(batch.events)
            if progress:
                progress(outcome.events, (batch.last_us - config.start_us) / (config.end_us - config.start_us))
    return outcome


def write_labels(simulation: Simulation, path: Path) -> None:
    """Write the truth about the faults as a JSON array."""
    path.write_bytes(
        orjson.dumps([label.as_dict() for label in simulation.labels()], option=orjson.OPT_INDENT_2) + b"\n"
    )


def _to_files(config: SimulationConfig, out: Path) -> Mapping[str, Sink]:
    if len(config.tenants) == 1:
        return {config.tenants[0]: FileSink(out)}
    stem, dot, suffixes = out.name.partition(".")
    return {tenant: FileSink(out.with_name(f"{stem}.{tenant}{dot}{suffixes}")) for tenant in config.tenants}


def _to_hub(
    config: SimulationConfig, key: str | Mapping[str, str] | None, door: Callable[[str], Sink]
) -> Mapping[str, Sink]:
    keys = {config.tenants[0]: key} if isinstance(key, str) else dict(key or {})
    missing = [tenant for tenant in config.tenants if tenant not in keys]
    if missing:
        raise SettingsError(f"no key for tenant {', '.join(missing)}")
    return {tenant: door(keys[tenant]) for tenant in config.tenants}
