"""``/v1/tenants``: tenants and their settings."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from access.grants import reach_tenant
from access.principal import Principal
from access.service import Access
from access.tenant_settings import TenantSettings
from access.web import actor_of, require
from core.errors import Conflict
from query_api.administration import PROBLEMS_OF_NEW, AccessService, Body, Label, Manager, audited
from query_api.responses import PROBLEMS, PROBLEMS_OF_ONE
from storage.metadata.models import Tenant

router = APIRouter(tags=["tenants"])

#: Whoever manages every tenant.
HubManager = Annotated[Principal, Depends(require("hub"))]


class CreateTenant(Body):
    """A tenant to be made."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", examples=["acme"])]
    name: Label = ""
    settings: TenantSettings = TenantSettings()


class ChangeTenant(Body):
    """What is to change; settings that are not named stay as they are."""

    name: Label | None = None
    settings: TenantSettings | None = None


class TenantModel(Body):
    """A tenant with all its settings."""

    id: str
    name: str
    created_at: datetime
    settings: TenantSettings


class TenantList(Body):
    """Tenants, by id."""

    tenants: list[TenantModel]


@router.post("/v1/tenants", status_code=201, summary="Create a tenant", responses=PROBLEMS_OF_NEW)
async def create(body: CreateTenant, caller: HubManager, access: AccessService, request: Request) -> TenantModel:
    """Make a tenant; its keys are made with `POST /v1/keys`."""
    actor = actor_of(request, caller)
    tenant = await access.tenants.create(body.id, body.name or body.id, actor, body.settings)
    return _model(tenant)


@router.get("/v1/tenants", summary="List tenants", responses=PROBLEMS)
async def list_tenants(caller: Manager, access: AccessService) -> TenantList:
    """Every tenant for a key with the scope `hub`, the caller's own for others."""
    if caller.has("hub"):
        return TenantList(tenants=[_model(tenant) for tenant in await access.tenants.list()])
    return TenantList(tenants=[_model(await access.tenants.get(caller.tenant))])


@router.get("/v1/tenants/{tenant_id}", summary="Read a tenant", responses=PROBLEMS_OF_ONE)
async def get(tenant_id: str, caller: Manager, access: AccessService) -> TenantModel:
    """One tenant with all its settings."""
    reach_tenant(caller, tenant_id)
    return _model(await access.tenants.get(tenant_id))


@router.patch("/v1/tenants/{tenant_id}", summary="Change a tenant", responses=PROBLEMS_OF_ONE)
async def change(
    tenant_id: str, body: ChangeTenant, caller: Manager, access: AccessService, request: Request
) -> TenantModel:
    """Change the name, or some of the settings."""
    async with audited(request, caller, "tenant.update", f"tenant/{tenant_id}") as actor:
        reach_tenant(caller, tenant_id)
        settings = await _merged(access, tenant_id, body.settings)
        tenant = await access.tenants.update(tenant_id, actor, body.name, settings)
    return _model(tenant)


@router.delete(
    "/v1/tenants/{tenant_id}",
    status_code=204,
    summary="Delete a tenant",
    responses={**PROBLEMS_OF_NEW, **PROBLEMS_OF_ONE},
)
async def delete(tenant_id: str, caller: HubManager, access: AccessService, request: Request) -> None:
    """Delete a tenant with its keys, users and prices.

    Its keys end at once. Its data is erased in the background, again and again until nothing more arrives;
    until then, a bit more than an hour, no other tenant can have its id.
    """
    if tenant_id == caller.tenant:
        raise Conflict("The tenant of the key that is used cannot be deleted; use a key of another tenant.")
    await access.tenants.delete(tenant_id, actor_of(request, caller))


def _model(tenant: Tenant) -> TenantModel:
    settings = TenantSettings.model_validate(tenant.settings)
    return TenantModel(id=tenant.id, name=tenant.name, created_at=tenant.created_at, settings=settings)


async def _merged(access: Access, tenant_id: str, changes: TenantSettings | None) -> TenantSettings | None:
    if changes is None:
        return None
    current = TenantSettings.model_validate((await access.tenants.get(tenant_id)).settings)
    named = changes.model_dump(mode="json", exclude_unset=True)
    return TenantSettings.model_validate(_overlay(current.model_dump(mode="json"), named))


def _overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for name, value in above.items():
        merged[name] = _overlay(below[name], value) if isinstance(value, dict) else value
    return merged
