"""A small app with the endpoints of administration, and a caller for each kind of key."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from access.audit import SYSTEM
from access.keys import NewKey
from access.principal import Role, Scope
from access.service import Access, AccessConfig
from core.clock import ManualClock
from core.errors import HubError
from query_api.endpoints import audit, keys, prices, tenants, users
from storage.metadata.database import Metadata

Client = httpx.AsyncClient
MakeClient = Callable[..., Awaitable[Client]]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 20, 12, tzinfo=UTC))


@pytest.fixture
async def access(clock: ManualClock, tmp_path: Path) -> AsyncIterator[Access]:
    metadata = Metadata(f"sqlite:///{tmp_path}/hub.db")
    await metadata.start()
    await metadata.migrate()
    service = Access(metadata, clock, AccessConfig(tmp_path))
    await service.start()
    for tenant in ("a", "b"):
        await service.tenants.create(tenant, tenant.upper(), SYSTEM)
    yield service
    await service.stop()
    await metadata.stop()


@pytest.fixture
def app(access: Access, clock: ManualClock) -> FastAPI:
    small = FastAPI()
    for module in (keys, tenants, users, audit, prices):
        small.include_router(module.router)
    small.state.access, small.state.clock = access, clock
    small.add_exception_handler(HubError, _refused)
    small.add_exception_handler(RequestValidationError, _invalid)
    return small


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, HubError)
    body = {"detail": error.detail, **error.extra}
    return JSONResponse(body, error.status, dict(error.headers), "application/problem+json")


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:])
    return JSONResponse({"detail": first["msg"], "field": field}, 422, media_type="application/problem+json")


@pytest.fixture
async def client_for(app: FastAPI, access: Access) -> AsyncIterator[MakeClient]:
    """Makes a client with a key of its own: ``await client_for("a", "admin", "admin", "query")``."""
    opened: list[Client] = []

    async def make(tenant: str, role: str, *scopes: str, **more: object) -> Client:
        new = NewKey(tenant, Role(role), frozenset(map(Scope, scopes)), **more)  # type: ignore[arg-type]
        issued = await access.keys.create(new, SYSTEM)
        opened.append(
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app),
                base_url="http://hub",
                headers={"Authorization": f"Bearer {issued.secret}", "X-Test-Key": issued.row.id},
            )
        )
        return opened[-1]

    yield make
    for client in opened:
        await client.aclose()


@pytest.fixture
async def admin(client_for: MakeClient) -> Client:
    return await client_for("a", "admin", "admin", "query", "ingest")


@pytest.fixture
async def other(client_for: MakeClient) -> Client:
    return await client_for("b", "admin", "admin", "query", "ingest")


@pytest.fixture
async def hub(client_for: MakeClient) -> Client:
    return await client_for("default", "admin", "hub", "admin", "query", "ingest")


@pytest.fixture
async def viewer(client_for: MakeClient) -> Client:
    return await client_for("a", "viewer", "query")


@pytest.fixture
async def developer(client_for: MakeClient) -> Client:
    return await client_for("a", "developer", "query", "ingest")
