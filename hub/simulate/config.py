"""What a simulation is asked for, and what it hands out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from core.errors import SettingsError

Event = dict[str, Any]
"""An event as it travels: the envelope of the contract with ``data`` inside, ready for JSON."""

FAULT_KINDS = (
    "provider_outage",
    "latency_creep",
    "cost_spike_user",
    "prompt_regression",
    "guardrail_storm",
    "cache_collapse",
    "token_leak",
    "retrieval_degradation",
)

#: Every scenario: one fault each, none at all, or several at random times.
SCENARIOS = ("calm", "mixed", *FAULT_KINDS)


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """A fault at a set time, beside those of the scenario.

    Parameters
    ----------
    kind
        One of :data:`FAULT_KINDS`.
    after_s
        Seconds from the start of the simulation.
    for_s
        How long it lasts, in seconds.
    tenant
        Whose traffic it touches; else the tenants take turns.
    """

    kind: str
    after_s: float
    for_s: float
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """What to simulate. The same configuration gives the same bytes, on every machine.

    Parameters
    ----------
    seed
        Seed of everything random.
    rate
        Events a second, all tenants together, on average over the whole duration.
    start
        Time of the first event, aware.
    duration
        How long the simulated time is. Events end before ``start + duration``.
    scenario
        One of :data:`SCENARIOS`.
    tenants
        Names of the tenants; the first has the most traffic.
    faults
        Further faults at set times.
    content_share
        Share of the requests that carry their messages, 0–1.
    rhythm
        Whether traffic follows the hour and the weekday; off for even load.
    """

    seed: int = 0
    rate: float = 100.0
    start: datetime = datetime(2026, 11, 2, tzinfo=UTC)
    duration: timedelta = timedelta(minutes=10)
    scenario: str = "calm"
    tenants: tuple[str, ...] = ("default",)
    faults: tuple[PlannedFault, ...] = ()
    content_share: float = 0.15
    rhythm: bool = True

    def __post_init__(self) -> None:
        problem = self._problem()
        if problem:
            raise SettingsError(problem)

    def _problem(self) -> str | None:
        if self.scenario not in SCENARIOS:
            return f"scenario {self.scenario!r} is not one of {', '.join(SCENARIOS)}"
        wrong = [fault.kind for fault in self.faults if fault.kind not in FAULT_KINDS]
        if wrong:
            return f"fault {wrong[0]!r} is not one of {', '.join(FAULT_KINDS)}"
        strange = [fault.tenant for fault in self.faults if fault.tenant and fault.tenant not in self.tenants]
        if strange:
            return f"fault's tenant {strange[0]!r} is not one of {', '.join(self.tenants)}"
        if self.start.tzinfo is None:
            return "start needs a time zone"
        if not self.rate > 0 or self.duration <= timedelta(0):
            return "rate and duration must be above 0"
        if not self.tenants or len(set(self.tenants)) != len(self.tenants):
            return "tenants must be at least one name, each once"
        return None if 0 <= self.content_share <= 1 else "content_share must lie between 0 and 1"

    @property
    def start_us(self) -> int:
        """The start in microseconds of the epoch."""
        return to_us(self.start)

    @property
    def end_us(self) -> int:
        """The end in microseconds of the epoch; no event is at or after it."""
        return to_us(self.start + self.duration)


@dataclass(frozen=True, slots=True)
class SimBatch:
    """Events of one tenant, in the order of their times.

    ``first_us`` and ``last_us`` are the times of the first and the last event, in microseconds of the epoch.
    """

    tenant: str
    events: list[Event] = field(repr=False)
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about one fault, as ``--labels`` writes it.

    Parameters
    ----------
    kind
        Name of the fault; incidents use the same names.
    start, end
        When it began and when it was over, RFC 3339.
    tenant
        Whose traffic it touched.
    series
        Dimensions and values in which it shows, for example ``{"provider": "openai"}``.
    measures
        Measures that move, the clearest first.
    cause
        ``{"kind", "name"}`` of what should rank first among the causes.
    severity
        ``critical``, ``high`` or ``medium``.
    """

    kind: str
    start: str
    end: str
    tenant: str
    series: Mapping[str, str]
    measures: tuple[str, ...]
    cause: Mapping[str, str]
    severity: str

    def as_dict(self) -> dict[str, Any]:
        """The label as JSON has it."""
        return {
            "kind": self.kind,
            "start": self.start,
            "end": self.end,
            "tenant": self.tenant,
            "series": dict(self.series),
            "measures": list(self.measures),
            "cause": dict(self.cause),
            "severity": self.severity,
        }


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Microseconds of the epoch, exactly.

    Examples
    --------
    >>> to_us(datetime(2026, 11, 2, tzinfo=UTC))
    1793577600000000
    """
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> str:
    """RFC 3339 with microseconds and ``Z``.

    Examples
    --------
    >>> from_us(1793577600000001)
    '2026-11-02T00:00:00.000001Z'
    """
    return (_EPOCH + timedelta(microseconds=us)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
