"""``/v1/audit``: who did what, and whether the record is whole."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query

from query_api.administration import AccessService, Admin, Body
from query_api.responses import PROBLEMS
from storage.metadata.models import AuditEntry

router = APIRouter(tags=["audit"])


class EntryModel(Body):
    """One thing that was done; `number` counts a tenant's entries from 1 without gaps."""

    number: int
    time: datetime
    actor: str
    action: str
    resource: str
    outcome: str
    ip: str | None
    detail: dict[str, Any]
    hash: str


class AuditPage(Body):
    """Entries, newest first; `cursor` asks for the page that follows."""

    entries: list[EntryModel]
    cursor: int | None


class VerdictModel(Body):
    """Whether nothing was changed, inserted or removed; else the number of the first entry that is wrong."""

    ok: bool
    entries: int
    broken_at: int | None


@router.get("/v1/audit", summary="Read the audit log", responses=PROBLEMS)
async def read(
    caller: Admin,
    access: AccessService,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> AuditPage:
    """The entries of the caller's tenant."""
    found = await access.audit.list(caller.tenant, before=cursor, limit=limit)
    more = len(found) == limit and found[-1].number > 1
    return AuditPage(entries=[_model(entry) for entry in found], cursor=found[-1].number if more else None)


@router.get("/v1/audit/verify", summary="Check the audit log", responses=PROBLEMS)
async def verify(caller: Admin, access: AccessService) -> VerdictModel:
    """Walk the chain of hashes from the first entry to the last."""
    verdict = await access.audit.verify(caller.tenant)
    return VerdictModel(ok=verdict.ok, entries=verdict.entries, broken_at=verdict.broken_at)


def _model(entry: AuditEntry) -> EntryModel:
    names = EntryModel.model_fields.keys() - {"hash"}
    return EntryModel(**{name: getattr(entry, name) for name in names}, hash=entry.hash.hex())
