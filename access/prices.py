"""A tenant's own prices, which go before the built-in table; all in memory for the hot path."""

import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from access.audit import Actor, AuditLog
from access.moment import Moment
from core.clock import Clock
from core.errors import NotFound
from storage.metadata.database import Metadata
from storage.metadata.models import Price

Usd = Annotated[Decimal, Field(ge=0, le=10**9, max_digits=20, decimal_places=10)]
TokensPerHour = Annotated[int, Field(gt=0, le=10**15)]

#: No control characters: PostgreSQL keeps no NUL, and nobody can read the others.
_PLAIN = r"^[^\x00-\x1f]*$"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NewPrice(BaseModel):
    """What the models that ``model`` matches (``*`` and ``?`` are wildcards) cost from ``valid_from`` on.

    Per token, per request, or per hour of the GPUs that serve the model: by the duration of a call, or spread
    over the tokens that one GPU makes in an hour where those are given. Prices are US dollars; those of tokens
    are per million; what is left out of cache and reasoning costs as input and output do.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: Annotated[str, Field(min_length=1, max_length=200, pattern=_PLAIN)]
    provider: Annotated[str | None, Field(min_length=1, max_length=100, pattern=_PLAIN)] = None
    input_price_usd_per_mtok: Usd | None = None
    output_price_usd_per_mtok: Usd | None = None
    cache_read_price_usd_per_mtok: Usd | None = None
    cache_write_price_usd_per_mtok: Usd | None = None
    reasoning_price_usd_per_mtok: Usd | None = None
    batch_discount: Annotated[Decimal | None, Field(ge=0, le=1, description="0.5 halves the price")] = None
    request_price_usd: Usd | None = None
    gpu_hour_usd: Usd | None = None
    gpus: Annotated[Decimal | None, Field(gt=0, le=10_000)] = None
    input_tokens_per_gpu_hour: TokensPerHour | None = None
    output_tokens_per_gpu_hour: TokensPerHour | None = None
    valid_from: Moment = _EPOCH

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        per_token = (self.input_price_usd_per_mtok, self.output_price_usd_per_mtok)
        if (per_token[0] is None) != (per_token[1] is None):
            raise ValueError("name both the input and the output price, 0 for what is free")
        if (*per_token, self.request_price_usd, self.gpu_hour_usd) == (None, None, None, None):
            raise ValueError("name input and output prices, a request price, or gpu_hour_usd")
        per_hour = (self.input_tokens_per_gpu_hour, self.output_tokens_per_gpu_hour)
        if per_hour != (None, None) and (self.gpu_hour_usd is None or per_token != (None, None)):
            raise ValueError("tokens per GPU-hour go with gpu_hour_usd, and stand for the prices per token")
        return self

    def matches(self, provider: str | None, model: str, at: datetime) -> bool:
        """Whether this price is that of a model at a time; a price without a provider is that of all."""
        return (
            self.valid_from <= at
            and (self.provider is None or self.provider.lower() == (provider or "").lower())
            and fnmatchcase(model.lower(), self.model.lower())
        )


class OwnPrice(NewPrice):
    """A price as it is kept."""

    id: str
    created_at: Moment

    @property
    def rank(self) -> tuple[bool, int, bool, datetime, datetime]:
        """Orders prices that match the same model: the exact and longer pattern, then the newer one, wins."""
        wildcards = self.model.count("*") + self.model.count("?")
        literal = len(self.model) - wildcards
        return (wildcards == 0, literal, self.provider is not None, self.valid_from, self.created_at)

    def rates(self) -> dict[str, Any]:
        """The fields of ``streams.prices.model.TenantPrice``; an hourly price over tokens as a price per token."""
        hourly = self.input_tokens_per_gpu_hour is None and self.output_tokens_per_gpu_hour is None
        per_input = self._per_mtok(self.input_price_usd_per_mtok, self.input_tokens_per_gpu_hour)
        per_output = self._per_mtok(self.output_price_usd_per_mtok, self.output_tokens_per_gpu_hour)
        return {
            "model": self.model,
            "provider": self.provider or "*",
            "input_usd_per_mtok": per_input,
            "output_usd_per_mtok": per_output,
            "cache_read_usd_per_mtok": _float(self.cache_read_price_usd_per_mtok),
            "cache_write_usd_per_mtok": _float(self.cache_write_price_usd_per_mtok),
            "reasoning_usd_per_mtok": _float(self.reasoning_price_usd_per_mtok),
            "batch_factor": 1.0 - float(self.batch_discount or 0),
            "request_usd": float(self.request_price_usd or 0),
            "gpu_hour_usd": float(self.gpu_hour_usd or 0) if hourly else 0.0,
            "gpus": float(self.gpus or 1),
            "valid_from": self.valid_from,
        }

    def _per_mtok(self, price: Decimal | None, tokens_per_hour: int | None) -> float:
        if tokens_per_hour is not None:
            return float((self.gpu_hour_usd or 0) * 1_000_000 / tokens_per_hour)
        return float(price or 0)


def _float(price: Decimal | None) -> float | None:
    return None if price is None else float(price)


class PriceStore:
    """Creates, reads, replaces and deletes a tenant's own prices.

    ``version`` changes whenever a price in memory does: who derives a table from the prices compares it.
    """

    def __init__(self, metadata: Metadata, clock: Clock, audit: AuditLog) -> None:
        self._metadata = metadata
        self._clock = clock
        self._audit = audit
        self._prices: Mapping[str, tuple[OwnPrice, ...]] = {}
        self.version = 0

    def current(self, tenant: str) -> tuple[OwnPrice, ...]:
        """A tenant's prices from memory, the one that wins first; never waits."""
        return self._prices.get(tenant, ())

    def lookup(self, tenant: str, provider: str | None, model: str, at: datetime) -> OwnPrice | None:
        """The tenant's own price of a model at a time, if it has one."""
        return next((price for price in self.current(tenant) if price.matches(provider, model, at)), None)

    async def refresh(self) -> None:
        """Load every tenant's prices."""
        found: defaultdict[str, list[OwnPrice]] = defaultdict(list)
        async with self._metadata.reading() as session:
            for row in await session.scalars(select(Price)):
                found[row.tenant].append(_read(row))
        prices = {tenant: tuple(sorted(own, key=_rank, reverse=True)) for tenant, own in found.items()}
        if prices != self._prices:
            self._prices = prices
            self.version += 1

    async def create(self, tenant: str, new: NewPrice, actor: Actor) -> OwnPrice:
        """Add a price; an older one of the same model goes on being that of older events."""
        row = Price(id=str(uuid.uuid4()), tenant=tenant, created_at=self._clock.now(), **new.model_dump())
        async with self._metadata.session() as session:
            session.add(row)
            await self._audit.append(
                session, tenant, actor, "price.create", f"price/{row.id}", new.model_dump(mode="json")
            )
        await self.refresh()
        return _read(row)

    async def list(self, tenant: str) -> Sequence[OwnPrice]:
        """A tenant's prices, the one that wins first."""
        async with self._metadata.reading() as session:
            rows = await session.scalars(select(Price).where(Price.tenant == tenant))
            return sorted(map(_read, rows), key=_rank, reverse=True)

    async def get(self, tenant: str, price_id: str) -> OwnPrice:
        """One price; raises :class:`NotFound`."""
        async with self._metadata.reading() as session:
            return _read(await _get(session, tenant, price_id))

    async def replace(self, tenant: str, price_id: str, new: NewPrice, actor: Actor) -> OwnPrice:
        """Put another price in a price's place."""
        async with self._metadata.session() as session:
            row = await _get(session, tenant, price_id)
            for name, value in new.model_dump().items():
                setattr(row, name, value)
            await self._audit.append(
                session, tenant, actor, "price.update", f"price/{price_id}", new.model_dump(mode="json")
            )
        await self.refresh()
        return _read(row)

    async def delete(self, tenant: str, price_id: str, actor: Actor) -> None:
        """Take a price away; costs that were computed with it stay as they are."""
        async with self._metadata.session() as session:
            await session.delete(await _get(session, tenant, price_id))
            await self._audit.append(session, tenant, actor, "price.delete", f"price/{price_id}")
        await self.refresh()


def _rank(price: OwnPrice) -> tuple[bool, int, bool, datetime, datetime]:
    return price.rank


def _read(row: Price) -> OwnPrice:
    return OwnPrice(**{name: getattr(row, name) for name in OwnPrice.model_fields})


async def _get(session: AsyncSession, tenant: str, price_id: str) -> Price:
    row = await session.get(Price, price_id)
    if row is None or row.tenant != tenant:
        raise NotFound(f"There is no price {price_id!r}.")
    return row
