"""What the endpoints of keys, tenants, users, prices and the audit log share."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from access.audit import Actor
from access.principal import Principal
from access.service import Access
from access.web import actor_of, require
from core.errors import Forbidden
from query_api.responses import PROBLEMS, PROBLEMS_OF_ONE

#: Whoever manages a tenant.
Admin = Annotated[Principal, Depends(require("admin"))]

#: Whoever manages a tenant, or all of them.
Manager = Annotated[Principal, Depends(require("admin", "hub"))]


def _access(request: Request) -> Access:
    service: Access = request.app.state.access
    return service


AccessService = Annotated[Access, Depends(_access)]


class Body(BaseModel):
    """A request's body; unknown fields are refused, so that a slip of the pen is not taken for a default."""

    model_config = ConfigDict(extra="forbid")


#: A name that people read: one line, no control characters.
Label = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]*$")]

#: What an endpoint that makes something may answer besides.
PROBLEMS_OF_NEW: dict[int | str, dict[str, Any]] = {
    **PROBLEMS,
    409: {**PROBLEMS_OF_ONE[404], "description": "The name is taken, or its state does not allow it."},
}


@asynccontextmanager
async def audited(request: Request, caller: Principal, action: str, resource: str) -> AsyncIterator[Actor]:
    """Who acts, for the audit log; what is refused within is written down as ``denied``."""
    actor = actor_of(request, caller)
    try:
        yield actor
    except Forbidden as error:
        access: Access = request.app.state.access
        detail = {"reason": error.detail}
        await access.audit.record(caller.tenant, actor, action, resource, detail, outcome="denied")
        raise
