"""``/v1/admin/reprocess``: history priced anew, after a new price or with a newer table of prices."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from access.moment import Moment
from access.principal import Principal
from access.web import actor_of, require
from core.errors import Unprocessable
from query_api.administration import PROBLEMS_OF_NEW, AccessService, Body
from query_api.responses import PROBLEMS

router = APIRouter(tags=["prices"])

#: Whoever runs the hub: it rewrites what is stored.
Operator = Annotated[Principal, Depends(require("hub", role="admin"))]
Names = Annotated[list[str], Field(max_length=1000)]


class Wanted(Body):
    """Which calls are priced anew: of [`from`, `to`), of these tenants and models, or of all."""

    start: Moment = Field(alias="from")
    end: Moment = Field(alias="to")
    tenants: Names = Field(default_factory=list)
    models: Names = Field(default_factory=list)
    dry_run: bool = Field(False, description="Only tell what would change.")


class FiguresModel(Body):
    """Events that were looked at and those that change, and what they cost before and after."""

    events: int
    changed: int
    unpriced_before: int
    unpriced_after: int
    usd_before: Decimal
    usd_after: Decimal


class StateModel(Body):
    """The work under way; its figures grow with each step, `steps` is 0 until it is planned."""

    running: bool
    id: str | None = None
    begun_at: datetime | None = None
    step: int = 0
    steps: int = 0
    figures: FiguresModel | None = None


class Reprocessing(Protocol):
    """``hub.reprocess.Reprocessing``."""

    async def try_out(self, start: datetime, end: datetime, tenants: list[str], models: list[str]) -> dict[str, Any]:
        """What would change."""
        ...

    async def begin(self, start: datetime, end: datetime, tenants: list[str], models: list[str]) -> str:
        """Begin, and give the id of the work; raises ``Conflict``."""
        ...

    async def state(self) -> dict[str, Any] | None:
        """The work under way."""
        ...


@router.post("/v1/admin/reprocess", status_code=202, summary="Price history anew", responses=PROBLEMS_OF_NEW)
async def reprocess(
    body: Wanted, caller: Operator, access: AccessService, request: Request, response: Response
) -> StateModel:
    """Price stored calls with the prices as they are now; needs the scope `hub`. A dry run answers with its figures."""
    if body.start >= body.end:
        raise Unprocessable("to must be later than from.", field="to")
    service: Reprocessing = request.app.state.reprocess
    wanted = (body.start, body.end, body.tenants, body.models)
    if body.dry_run:
        response.status_code = 200
        return StateModel(running=False, figures=FiguresModel(**await service.try_out(*wanted)))
    found = await service.begin(*wanted)
    detail = body.model_dump(mode="json", by_alias=True)
    await access.audit.record(caller.tenant, actor_of(request, caller), "hub.reprocess", f"job/{found}", detail)
    return await _state(service)


@router.get("/v1/admin/reprocess", summary="How far pricing anew is", responses=PROBLEMS)
async def state(_: Operator, request: Request) -> StateModel:
    """The work under way, if any."""
    return await _state(request.app.state.reprocess)


async def _state(service: Reprocessing) -> StateModel:
    found = await service.state()
    return StateModel(running=False) if found is None else StateModel(running=True, **found)
