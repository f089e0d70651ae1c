"""The simulation: blocks of requests and background, in the order of time."""

from bisect import bisect_left
from collections.abc import Iterator
from operator import itemgetter

import numpy as np

from hub.simulate.arrivals import WINDOW_US, Floats, Ints, arrivals, mean_rhythm, rhythm, window_count
from hub.simulate.background import BACKGROUND_SHARE, Background
from hub.simulate.columns import Columns, draw
from hub.simulate.config import Event, Label, SimBatch, SimulationConfig
from hub.simulate.emit import Emitter
from hub.simulate.faults import Fault
from hub.simulate.plan import plan_faults
from hub.simulate.platform import PROJECTS, events_per_request, project_weights, tenant_weights
from hub.simulate.requests import requests
from hub.simulate.trace import build_trace

#: Requests a block is meant to hold, and its least and greatest length.
_BLOCK_REQUESTS = 3000
_BLOCK_US = (500_000, 900_000_000)

Timed = tuple[int, str, Event]
"""End time in microseconds of the epoch, tenant, event."""


class Simulation:
    """Everything a configuration leads to. Holds one block in memory, whatever the duration.

    Parameters
    ----------
    config
        What to simulate.

    Examples
    --------
    >>> from datetime import timedelta
    >>> simulation = Simulation(SimulationConfig(seed=1, rate=50, duration=timedelta(seconds=60)))
    >>> first = next(simulation.batches(100))
    >>> first.tenant, len(first.events), first.events[0]["time"] < first.events[-1]["time"]
    ('default', 100, True)
    """

    def __init__(self, config: SimulationConfig) -> None:
        self.config = config
        self.faults = plan_faults(config)
        self._mean = mean_rhythm(config.start_us, config.end_us) if config.rhythm else 1.0

    def labels(self) -> list[Label]:
        """The truth about every fault that begins before the end."""
        return [fault.label() for fault in self.faults if fault.start_us < self.config.end_us]

    def events(self) -> Iterator[Timed]:
        """All events with their end time in microseconds and their tenant, by time."""
        waiting: list[Timed] = []
        for number, (start, end) in enumerate(self._blocks()):
            for index, tenant in enumerate(self.config.tenants):
                waiting += self._tenant_block(number, index, tenant, start, end)
            waiting.sort(key=itemgetter(0))
            # Whatever begins in a later block ends after this one's end: what ended before is complete.
            ready = _before(waiting, end)
            yield from _with_times(waiting[:ready])
            del waiting[:ready]

    def batches(self, batch_size: int, max_span_us: int | None = None) -> Iterator[SimBatch]:
        """Events in batches of one tenant each, at most ``batch_size`` and ``max_span_us`` of simulated time long.

        Stretches of the time line are cut first and split by tenant afterwards, so that with one tenant every batch
        but the last is full. With ``max_span_us`` a batch is cut at multiples of it: live pacing needs small steps.
        """
        for stretch in _stretches(self.events(), batch_size, max_span_us):
            by_tenant: dict[str, list[Timed]] = {}
            for timed in stretch:
                by_tenant.setdefault(timed[1], []).append(timed)
            for tenant, rows in by_tenant.items():
                yield SimBatch(tenant, [event for _, _, event in rows], rows[0][0], rows[-1][0])

    def request_rate(self, tenant: int) -> float:
        """Mean requests a second of a tenant."""
        weights = project_weights(tenant)
        per_request = sum(
            weight * events_per_request(project) for weight, project in zip(weights, PROJECTS, strict=True)
        )
        share = tenant_weights(len(self.config.tenants))[tenant]
        return self.config.rate * share * (1 - BACKGROUND_SHARE) / per_request

    def _blocks(self) -> Iterator[tuple[int, int]]:
        total = sum(self.request_rate(index) for index in range(len(self.config.tenants)))
        least, most = _BLOCK_US
        wanted = int(_BLOCK_REQUESTS / total * 1e6)
        # Whole windows, unless the rate is so high that one of them would be too much to hold.
        length = min(max(wanted // WINDOW_US * WINDOW_US or wanted, least), most)
        for start in range(self.config.start_us, self.config.end_us, length):
            yield start, min(start + length, self.config.end_us)

    def _tenant_block(self, number: int, index: int, tenant: str, start: int, end: int) -> list[Timed]:
        rng = np.random.default_rng([self.config.seed, index, number])
        faults = [fault for fault in self.faults if fault.tenant == tenant and _overlaps(fault, start, end)]
        # The start is part of the ids: the same seed at another time makes other events, no duplicates.
        emitter = Emitter(np.random.default_rng([self.config.seed, index, number, 1, self.config.start_us]))
        for columns in [self._columns(rng, index, start, end), *self._extra(number, index, faults, start, end)]:
            for fault in faults:
                fault.apply(columns)
            for request in requests(columns):
                build_trace(emitter, request)
        Background(self.config, index, faults).emit(rng, emitter, start, end, self._load)
        last = self.config.end_us
        return [(at, tenant, event) for at, event in emitter.events if at < last]

    def _load(self, at_us: Ints) -> Floats:
        return rhythm(at_us) / self._mean if self.config.rhythm else np.ones(len(at_us))

    def _columns(self, rng: np.random.Generator, index: int, start: int, end: int) -> Columns:
        windows = start + WINDOW_US * np.arange(window_count(start, end), dtype=np.int64)
        rate = self.request_rate(index) * self._load(windows)
        parts = []
        for number, (project, weight) in enumerate(zip(PROJECTS, project_weights(index), strict=True)):
            at, load = arrivals(
                rng, start, end, weight * rate, project.unevenness, self._load_rng(index, number, start)
            )
            parts.append((at, np.full(len(at), number, np.int64), load))
        at, project_of, load = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(at, kind="stable")
        return draw(rng, at[order], project_of[order], load[order], self.config.content_share)

    def _load_rng(self, index: int, project: int, start: int) -> np.random.Generator:
        """The same for all blocks that begin in one window."""
        return np.random.default_rng([self.config.seed, index, project, 3, start // WINDOW_US])

    def _extra(self, number: int, index: int, faults: list[Fault], start: int, end: int) -> Iterator[Columns]:
        """Requests that a fault adds, from a stream of their own: the others stay what they were."""
        for place, fault in enumerate(faults):
            rate = fault.extra_requests(self.request_rate(index))
            if not rate:
                continue
            first, last = max(start, fault.start_us), min(end, fault.end_us)
            rng = np.random.default_rng([self.config.seed, index, number, 2, place])
            at, load = arrivals(rng, first, last, np.full(window_count(first, last), rate), 0.2)
            columns = draw(rng, at, np.full(len(at), fault.extra_project), load, self.config.content_share)
            columns.user[:] = fault.extra_user
            yield columns


def _overlaps(fault: Fault, start: int, end: int) -> bool:
    return fault.start_us < end and fault.end_us >= start


def _before(rows: list[Timed], end: int) -> int:
    """How many of the sorted rows lie before ``end``."""
    return bisect_left(rows, end, key=itemgetter(0))


def _with_times(rows: list[Timed]) -> Iterator[Timed]:
    """The rows with the text of their time filled in, all at once."""
    times = np.array([row[0] for row in rows], dtype="datetime64[us]")
    for row, text in zip(rows, np.datetime_as_string(times, unit="us").tolist(), strict=True):
        row[2]["time"] = text + "Z"
        yield row


def _stretches(rows: Iterator[Timed], size: int, span_us: int | None) -> Iterator[list[Timed]]:
    stretch: list[Timed] = []
    step = None
    for row in rows:
        at = row[0] // span_us if span_us else None
        if stretch and (len(stretch) == size or at != step):
            yield stretch
            stretch = []
        step = at
        stretch.append(row)
    if stretch:
        yield stretch
