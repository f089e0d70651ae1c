"""Which faults happen when: the scenario and the asked-for faults, laid on the time of the simulation."""

from collections.abc import Iterator

import numpy as np

from hub.simulate.config import SimulationConfig
from hub.simulate.faults import FAULTS, Fault

_BY_KIND = {fault.KIND: fault for fault in FAULTS}
_MINUTE_US = 60_000_000
#: A mixed scenario has about one fault in this time, and at least three.
_MIXED_EVERY_US = 180 * _MINUTE_US


def plan_faults(config: SimulationConfig) -> tuple[Fault, ...]:
    """All faults of a simulation, by start.

    A single named fault begins after 40% of the duration and lasts a quarter of it, an hour at most. ``mixed`` cuts
    the duration in equal parts and puts one fault into each, of every kind in turn, over all tenants.
    """
    rng = np.random.default_rng([config.seed, 0xFA17])
    faults = [*_of_scenario(config, rng), *_asked_for(config, rng)]
    return tuple(sorted(faults, key=lambda fault: fault.start_us))


def _of_scenario(config: SimulationConfig, rng: np.random.Generator) -> Iterator[Fault]:
    span = config.end_us - config.start_us
    if config.scenario in _BY_KIND:
        start = config.start_us + int(0.4 * span)
        length = min(span // 4, 60 * _MINUTE_US)
        yield _BY_KIND[config.scenario](config.tenants[0], start, start + length, float(rng.random()))
    elif config.scenario == "mixed":
        yield from _mixed(config, rng, span)


def _mixed(config: SimulationConfig, rng: np.random.Generator, span: int) -> Iterator[Fault]:
    count = max(3, round(span / _MIXED_EVERY_US))
    part = span // count
    kinds = rng.permutation(len(FAULTS))
    for number in range(count):
        length = int(min(0.5 * part, rng.uniform(15, 45) * _MINUTE_US))
        start = config.start_us + number * part + int(rng.uniform(0.1, 0.4) * part)
        tenant = config.tenants[int(rng.integers(len(config.tenants)))]
        yield FAULTS[kinds[number % len(FAULTS)]](tenant, start, start + length, float(rng.random()))


def _asked_for(config: SimulationConfig, rng: np.random.Generator) -> Iterator[Fault]:
    for number, planned in enumerate(config.faults):
        start = config.start_us + round(planned.after_s * 1e6)
        tenant = planned.tenant or config.tenants[number % len(config.tenants)]
        yield _BY_KIND[planned.kind](tenant, start, start + round(planned.for_s * 1e6), float(rng.random()))
