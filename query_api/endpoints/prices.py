"""``/v1/prices``: the price table, and a tenant's own prices that go before it."""

from dataclasses import asdict, is_dataclass
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Query, Request

from access.prices import NewPrice, OwnPrice
from access.web import actor_of
from query_api.administration import AccessService, Admin, Body
from query_api.responses import PROBLEMS, PROBLEMS_OF_ONE
from query_api.services import Caller

router = APIRouter(tags=["prices"])


class PriceLookup(Protocol):
    """What ``app.state.price_table`` is, where there is one (``streams.prices.table.PriceTable``)."""

    @property
    def version(self) -> str:
        """The version of the table."""
        ...

    def lookup(self, tenant: str, model: str, provider: str | None = None) -> Any:
        """The price that an event of this model would get, as a dataclass; ``None`` where it would be unpriced."""
        ...


class TableModel(Body):
    """The built-in price table."""

    version: str


class PricesModel(Body):
    """A tenant's own prices, the one that wins first, and what stands behind them."""

    own: list[OwnPrice]
    table: TableModel | None


class LookupModel(Body):
    """What a model costs; `price` is null when its events would be unpriced."""

    model: str
    provider: str | None
    price: dict[str, Any] | None


@router.get("/v1/prices", summary="Prices", responses=PROBLEMS)
async def list_prices(caller: Caller, access: AccessService, request: Request) -> PricesModel:
    """The caller's own prices, and which table the others come from."""
    table = _table(request)
    return PricesModel(
        own=list(await access.prices.list(caller.tenant)),
        table=TableModel(version=table.version) if table is not None else None,
    )


@router.get("/v1/prices/lookup", summary="What a model costs", responses=PROBLEMS)
async def look_up(
    caller: Caller,
    request: Request,
    model: Annotated[str, Query(min_length=1, max_length=200)],
    provider: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
) -> LookupModel:
    """The price that an event of this model would get now, the tenant's own before the table's."""
    table = _table(request)
    found = table.lookup(caller.tenant, model, provider) if table is not None else None
    price = asdict(found) if is_dataclass(found) and not isinstance(found, type) else None
    return LookupModel(model=model, provider=provider, price=price)


@router.post("/v1/prices", status_code=201, summary="Set a price", responses=PROBLEMS)
async def create(body: NewPrice, caller: Admin, access: AccessService, request: Request) -> OwnPrice:
    """Add a price of the caller's own."""
    return await access.prices.create(caller.tenant, body, actor_of(request, caller))


@router.get("/v1/prices/{price_id}", summary="Read a price", responses=PROBLEMS_OF_ONE)
async def get(price_id: str, caller: Caller, access: AccessService) -> OwnPrice:
    """One of the caller's own prices."""
    return await access.prices.get(caller.tenant, price_id)


@router.put("/v1/prices/{price_id}", summary="Replace a price", responses=PROBLEMS_OF_ONE)
async def replace(price_id: str, body: NewPrice, caller: Admin, access: AccessService, request: Request) -> OwnPrice:
    """Put another price in a price's place; costs that were computed stay as they are."""
    return await access.prices.replace(caller.tenant, price_id, body, actor_of(request, caller))


@router.delete("/v1/prices/{price_id}", status_code=204, summary="Delete a price", responses=PROBLEMS_OF_ONE)
async def delete(price_id: str, caller: Admin, access: AccessService, request: Request) -> None:
    """Take a price away; costs that were computed stay as they are."""
    await access.prices.delete(caller.tenant, price_id, actor_of(request, caller))


def _table(request: Request) -> PriceLookup | None:
    table: PriceLookup | None = getattr(request.app.state, "price_table", None)
    return table
