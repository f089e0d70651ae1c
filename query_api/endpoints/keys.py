"""``/v1/keys``: API keys."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import Field, TypeAdapter, ValidationError

from access.grants import grantable, reach_key, reach_tenant, see_key
from access.keys import IssuedKey, NewKey, is_live
from access.moment import Moment
from access.principal import ROLE_SCOPES, RateLimit, Role, Scope
from core.clock import Clock
from core.errors import Unprocessable
from query_api.administration import AccessService, Body, Label, Manager, audited
from query_api.responses import PROBLEMS, PROBLEMS_OF_ONE
from query_api.services import HubClock
from storage.metadata.models import ApiKey

router = APIRouter(tags=["keys"])

_DURATION = re.compile(r"([1-9][0-9]{0,4})([smhdw])")
_MOMENT = TypeAdapter(Moment)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Rate = Annotated[float | None, Field(gt=0, le=1e9, allow_inf_nan=False)]


class CreateKey(Body):
    """A key to be made. What is left open is the caller's tenant, no expiry and no limit but the caller's own."""

    tenant: Annotated[str | None, Field(max_length=64)] = None
    role: Role = Role.DEVELOPER
    scopes: Annotated[frozenset[Scope] | None, Field(description="All of the role but `hub` if left out.")] = None
    name: Label = ""
    expires: Annotated[
        str | None,
        Field(max_length=64, description="A time with an offset, or a duration: `90d`, `12h`.", examples=["90d"]),
    ] = None
    requests_per_second: Rate = None
    events_per_second: Rate = None


class RotateKey(Body):
    """How long the old key goes on being good beside the new one."""

    grace_seconds: Annotated[int, Field(ge=0, le=30 * 86400)] = 0


class KeyModel(Body):
    """A key, without its secret."""

    id: str
    tenant: str
    name: str
    role: Role
    scopes: list[Scope]
    prefix: str
    requests_per_second: float | None
    events_per_second: float | None
    created_at: datetime
    created_by: str
    expires: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    active: bool


class NewKeyModel(KeyModel):
    """A new key with its secret: this answer is the only place where it is ever shown."""

    key: str


class KeyList(Body):
    """Keys, oldest first."""

    keys: list[KeyModel]


@router.post("/v1/keys", status_code=201, summary="Create a key", responses=PROBLEMS)
async def create(
    body: CreateKey, caller: Manager, access: AccessService, clock: HubClock, request: Request
) -> NewKeyModel:
    """Make a key with at most the caller's own rights; the secret is in `key`, this once."""
    tenant = body.tenant or caller.tenant
    async with audited(request, caller, "key.create", f"tenant/{tenant}") as actor:
        issued = await access.keys.create(grantable(caller, _wanted(body, tenant, clock)), actor)
    return _issued(issued, clock)


@router.get("/v1/keys", summary="List keys", responses=PROBLEMS)
async def list_keys(
    caller: Manager,
    access: AccessService,
    clock: HubClock,
    tenant: Annotated[str | None, Query(max_length=64, description="Another tenant; needs the scope `hub`.")] = None,
) -> KeyList:
    """A tenant's keys, revoked ones too."""
    wanted = tenant or caller.tenant
    reach_tenant(caller, wanted)
    return KeyList(keys=[KeyModel(**_fields(row, clock)) for row in await access.keys.list(wanted)])


@router.get("/v1/keys/{key_id}", summary="Read a key", responses=PROBLEMS_OF_ONE)
async def get(key_id: str, caller: Manager, access: AccessService, clock: HubClock) -> KeyModel:
    """One key by its public id."""
    row = await access.keys.get(key_id)
    see_key(caller, row)
    return KeyModel(**_fields(row, clock))


@router.post("/v1/keys/{key_id}/rotate", status_code=201, summary="Rotate a key", responses=PROBLEMS_OF_ONE)
async def rotate(
    key_id: str,
    caller: Manager,
    access: AccessService,
    clock: HubClock,
    request: Request,
    body: RotateKey | None = None,
) -> NewKeyModel:
    """A new key that may do the same; the old one ends at once or after its grace."""
    grace = timedelta(seconds=body.grace_seconds if body else 0)
    async with audited(request, caller, "key.rotate", f"key/{key_id}") as actor:
        reach_key(caller, await access.keys.get(key_id))
        issued = await access.keys.rotate(key_id, actor, grace)
    return _issued(issued, clock)


@router.delete("/v1/keys/{key_id}", status_code=204, summary="Revoke a key", responses=PROBLEMS_OF_ONE)
async def revoke(key_id: str, caller: Manager, access: AccessService, request: Request) -> None:
    """End a key at once; doing it again changes nothing."""
    async with audited(request, caller, "key.revoke", f"key/{key_id}") as actor:
        reach_key(caller, await access.keys.get(key_id))
        await access.keys.revoke(key_id, actor)


def _wanted(body: CreateKey, tenant: str, clock: Clock) -> NewKey:
    scopes = ROLE_SCOPES[body.role] - {Scope.HUB} if body.scopes is None else body.scopes
    limit = RateLimit(body.requests_per_second, body.events_per_second)
    return NewKey(tenant, body.role, scopes, body.name, limit, _expiry(body.expires, clock))


def _expiry(expires: str | None, clock: Clock) -> datetime | None:
    if expires is None:
        return None
    if match := _DURATION.fullmatch(expires):
        return clock.now() + timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        return _MOMENT.validate_python(expires)
    except ValidationError as error:
        raise Unprocessable(
            "Write the expiry as a time with an offset (2027-01-01T00:00:00Z) or a duration (90d, 12h).",
            field="expires",
        ) from error


def _fields(row: ApiKey, clock: Clock) -> dict[str, Any]:
    names = KeyModel.model_fields.keys() - {"expires", "active"}
    fields = {name: getattr(row, name) for name in names}
    return {**fields, "expires": row.expires_at, "active": is_live(row, clock.now())}


def _issued(issued: IssuedKey, clock: Clock) -> NewKeyModel:
    return NewKeyModel(**_fields(issued.row, clock), key=issued.secret)
