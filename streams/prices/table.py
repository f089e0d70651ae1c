"""The price table as the streams and ``/v1/prices`` use it: a tenant's own prices first, then the public ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from threading import RLock
from typing import Final

from streams.prices.model import (
    RATE_NAMES,
    SOURCE_TENANT,
    Call,
    Schedule,
    TenantPrice,
    TenantPrices,
    Tiers,
    no_tenant_prices,
    to_micros,
)
from streams.prices.public import Found, PublicTable, representative

#: Distinct calls whose prices are remembered; above it all are looked up anew.
_MOST_CALLS: Final = 20_000


@dataclass(frozen=True, slots=True)
class PriceAnswer:
    """The price of a model at a moment, in dollars for a million tokens; None where nothing is known."""

    provider: str
    model: str
    source: str
    version: str
    above_input_tokens: tuple[int, ...]
    usd_per_mtok: tuple[dict[str, float], ...]
    request_usd: float
    hour_usd: float


class PriceTable:
    """Prices of calls, remembered for each distinct combination of what decides them.

    Safe for threads.

    Parameters
    ----------
    tenant_prices
        A tenant's own prices; called once for each block and tenant, must not block.
    public
        The public table.
    """

    def __init__(self, tenant_prices: TenantPrices = no_tenant_prices, public: PublicTable | None = None) -> None:
        self._tenant_prices = tenant_prices
        self._public = public or PublicTable()
        self._own: dict[str, tuple[TenantPrice, ...]] = {}
        self._schedules: dict[Call, Schedule] = {}
        self._found: dict[Call, Found | None] = {}
        self._lock = RLock()

    @property
    def version(self) -> str:
        """Version of the public table."""
        return self._public.version

    def refresh(self, tenants: Sequence[str]) -> None:
        """Take over changed prices of these tenants."""
        for tenant in tenants:
            current = tuple(self._tenant_prices(tenant))
            with self._lock:
                if self._own.get(tenant, ()) != current:
                    self._own[tenant] = current
                    self._schedules = {call: plan for call, plan in self._schedules.items() if call.tenant != tenant}

    def schedule(self, call: Call) -> Schedule:
        """When which price of a call holds."""
        with self._lock:
            if (known := self._schedules.get(call)) is not None:
                return known
            if len(self._schedules) >= _MOST_CALLS:
                self._schedules.clear()
                self._found.clear()
            schedule = self._schedules[call] = self._plan(call, self._own.get(call.tenant, ()))
            return schedule

    def exact_cost(self, call: Call, moment: datetime, usage: dict[str, int | float]) -> Decimal | None:
        """The public table's own calculation for usage of any kind; None where it has no price.

        A tenant's own price knows only the five kinds of tokens, and stays the one that counts.
        """
        price = self.tiers_at(call, moment)
        found = self._find(call)
        if found is None or (price is not None and price.source == SOURCE_TENANT):
            return None
        return self._public.cost(found, moment, call, usage)

    def tiers_at(self, call: Call, moment: datetime) -> Tiers | None:
        """The price of a call at a moment."""
        schedule = self.schedule(call)
        micros = to_micros(moment)
        second = micros // 10**6 % 86400
        start = sum(1 for value in schedule.starts if value <= micros)
        return schedule.price_at(start, sum(1 for mark in schedule.marks if mark <= second))

    def lookup(
        self, tenant: str, model: str, provider: str | None = None, *, batch: bool = False, at: datetime | None = None
    ) -> PriceAnswer | None:
        """The price that an event of this model would get; None where it would be unpriced."""
        context = (("processing", "batch"),) if batch else ()
        call = Call(tenant, provider, model, None, context)
        self.refresh([tenant])
        tiers = self.tiers_at(call, at or datetime.now(UTC))
        if tiers is None:
            return None
        found = None if tiers.source == SOURCE_TENANT else self._find(call)
        name = found.name.split("/", 1) if found else (provider or "", model)
        return self._answer(name[0], name[1], tiers)

    def listing(self, at: datetime | None = None) -> Iterator[PriceAnswer]:
        """Every price of the public table at a moment."""
        moment = at or datetime.now(UTC)
        for provider in self._public.providers:
            call = Call("", provider.id, None, None)
            for model in provider.models:
                tiers = self._public.tiers(Found(provider, model), moment, call)
                if tiers is not None:
                    yield self._answer(provider.id, model.id, tiers)

    def own(self, tenant: str) -> tuple[TenantPrice, ...]:
        """A tenant's own prices as they are in force."""
        return tuple(self._tenant_prices(tenant))

    def _answer(self, provider: str, model: str, tiers: Tiers) -> PriceAnswer:
        tokens = tuple({name: round(rate[i] * 1e6, 9) for i, name in enumerate(RATE_NAMES[:5])} for rate in tiers.rates)
        version = self.version if tiers.source != SOURCE_TENANT else "tenant"
        request, hour = tiers.rates[0][5:]
        return PriceAnswer(provider, model, tiers.source, version, tiers.above, tokens, request, hour)

    def _find(self, call: Call) -> Found | None:
        if call not in self._found:
            self._found[call] = self._public.find(call)
        return self._found[call]

    def _plan(self, call: Call, own: tuple[TenantPrice, ...]) -> Schedule:
        mine = tuple(price for price in own if price.matches(call))
        found = self._find(call)
        first, marks = self._public.moments(found) if found else ((), ())
        limits = {to_micros(moment) for price in mine for moment in (price.valid_from, price.valid_to) if moment}
        starts = tuple(sorted({*first, *limits}))
        memory: dict[tuple[int, int], Tiers | None] = {}

        def price_at(start: int, mark: int) -> Tiers | None:
            if (start, mark) not in memory:
                moment = starts[start - 1] if start else None
                held = next((price for price in mine if price.holds(moment)), None)
                if held is not None:
                    memory[start, mark] = held.tiers(call.batch)
                elif found is None:
                    memory[start, mark] = None
                else:
                    day = representative(moment, starts[0] if starts else None, marks[mark - 1] if mark else None)
                    memory[start, mark] = self._public.tiers(found, day, call)
            return memory[start, mark]

        return Schedule(starts, marks, price_at)
