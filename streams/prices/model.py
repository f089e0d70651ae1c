"""The values of pricing: rates, when each holds, and a tenant's own prices."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Final

#: Columns of a rate, in dollars for one token (``request``: one call, ``hour``: one hour of the call's duration).
INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING, REQUEST, HOUR = range(7)
RATE_NAMES: Final = ("input", "output", "cache_read", "cache_write", "reasoning", "request", "hour")

Rate = tuple[float, float, float, float, float, float, float]

SOURCE_PRICE: Final = "price"
SOURCE_TENANT: Final = "tenant_price"
SOURCE_REPORTED: Final = "reported"
SOURCE_ESTIMATED: Final = "estimated"
SOURCE_UNPRICED: Final = "unpriced"


@dataclass(frozen=True, slots=True)
class Call:
    """What decides the price of a call, apart from its time and its size.

    ``context`` are pairs such as ``("processing", "batch")`` or ``("service_tier", "flex")``.
    """

    tenant: str
    provider: str | None
    model: str | None
    response_model: str | None
    context: tuple[tuple[str, str], ...] = ()

    @property
    def batch(self) -> bool:
        """Whether it went through the provider's batch interface."""
        return ("processing", "batch") in self.context


@dataclass(frozen=True, slots=True)
class Tiers:
    """The rates of a call by the number of its input tokens.

    Parameters
    ----------
    above
        Ascending; ``rates[i + 1]`` holds for more than ``above[i]`` input tokens, and then for *all* of the call's
        tokens.
    rates
        One more than ``above``.
    source
        ``price`` or ``tenant_price``.
    """

    above: tuple[int, ...]
    rates: tuple[Rate, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When which price of a call holds.

    Parameters
    ----------
    starts
        Microseconds since 1970, ascending: the moments at which a price may change.
    marks
        Seconds since midnight UTC, ascending: the times of day at which it may change.
    price_at
        The price from one of these moments on, given the index among ``starts`` (0 is before the first) and the
        index among ``marks``; None where there is no price.
    """

    starts: tuple[int, ...]
    marks: tuple[int, ...]
    price_at: Callable[[int, int], Tiers | None]


@dataclass(frozen=True, slots=True)
class TenantPrice:
    """A price that a tenant set itself; it goes before the public table. The first that matches counts.

    Parameters
    ----------
    model, provider
        Shell patterns without regard to case (``llama-*``, ``*``). A call without a provider only matches ``*``.
    input_usd_per_mtok, output_usd_per_mtok
        Dollars for a million tokens.
    cache_read_usd_per_mtok, cache_write_usd_per_mtok
        The input price where not set.
    reasoning_usd_per_mtok
        The output price where not set.
    batch_factor
        Multiplies the prices of batch calls, 0.5 for half the price.
    request_usd
        For each call, whatever its tokens.
    gpu_hour_usd, gpus
        For a self-hosted model: ``duration_ms / 3,600,000 × gpu_hour_usd × gpus`` is added. ``gpus`` may be a share
        of one: the part of the machine that one call takes.
    valid_from, valid_to
        From which moment and until (not with) which; always where not set. Aware.
    """

    model: str = "*"
    provider: str = "*"
    input_usd_per_mtok: float = 0.0
    output_usd_per_mtok: float = 0.0
    cache_read_usd_per_mtok: float | None = None
    cache_write_usd_per_mtok: float | None = None
    reasoning_usd_per_mtok: float | None = None
    batch_factor: float = 1.0
    request_usd: float = 0.0
    gpu_hour_usd: float = 0.0
    gpus: float = 1.0
    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def matches(self, call: Call) -> bool:
        """Whether it is a price for this call (its time apart)."""
        if not fnmatchcase((call.provider or "").lower(), self.provider.lower()):
            return False
        names = (call.model, call.response_model)
        return any(fnmatchcase(name.lower(), self.model.lower()) for name in names if name)

    def holds(self, moment: int | None) -> bool:
        """Whether it holds at a moment in microseconds; None is before everything."""
        if self.valid_from is not None and (moment is None or moment < to_micros(self.valid_from)):
            return False
        return self.valid_to is None or moment is None or moment < to_micros(self.valid_to)

    def tiers(self, batch: bool) -> Tiers:
        """Its rates."""
        factor = self.batch_factor if batch else 1.0
        read, write, reasoning = (
            self.cache_read_usd_per_mtok,
            self.cache_write_usd_per_mtok,
            self.reasoning_usd_per_mtok,
        )
        mtok = (
            self.input_usd_per_mtok,
            self.output_usd_per_mtok,
            self.input_usd_per_mtok if read is None else read,
            self.input_usd_per_mtok if write is None else write,
            self.output_usd_per_mtok if reasoning is None else reasoning,
        )
        a, b, c, d, e = (price * factor / 1e6 for price in mtok)
        return Tiers((), ((a, b, c, d, e, self.request_usd, self.gpu_hour_usd * self.gpus),), SOURCE_TENANT)


#: The prices of a tenant, asked for at every block: a new tuple takes effect with the next.
TenantPrices = Callable[[str], Sequence[TenantPrice]]


def no_tenant_prices(tenant: str) -> Sequence[TenantPrice]:  # noqa: ARG001 - the signature of TenantPrices
    """Nobody has prices of their own."""
    return ()


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment, exactly."""
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86400 + delta.seconds) * 10**6 + delta.microseconds
