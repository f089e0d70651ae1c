"""The endpoints on an app of their own, over a warehouse of two tenants' events."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from access.principal import Principal, Role, Scope
from access.service import AccessConfig
from broker.live import LiveFeed
from core.clock import ManualClock
from core.errors import Unauthenticated
from core.metrics import Metrics
from hub.web import build_web
from query_api.endpoints import ENDPOINTS
from semantic.layer import SemanticLayer
from semantic.sources import warehouse_sources
from storage.warehouse.client import Warehouse
from storage.warehouse.migrations import migrate
from tests.semantic.rows import NOW, Event, as_table, make_events, store

KEYS = {
    "lh_acme": Principal("acme", "k1", Role.VIEWER, frozenset({Scope.QUERY})),
    "lh_rival": Principal("rival", "k2", Role.VIEWER, frozenset({Scope.QUERY})),
    "lh_nobody": Principal("nobody", "k3", Role.VIEWER, frozenset({Scope.QUERY})),
    "lh_sender": Principal("acme", "k4", Role.DEVELOPER, frozenset({Scope.INGEST})),
}
METRICS_KEY = "m" * 32


class FakeAccess:
    """Keys without a database."""

    def __init__(self) -> None:
        self.config = AccessConfig(Path(), metrics_key=METRICS_KEY)
        self.limits = SimpleNamespace(take_request=lambda principal: None)

    async def authenticate(self, secret: str) -> Principal:
        if secret not in KEYS:
            raise Unauthenticated("No such key.")
        return KEYS[secret]


@pytest.fixture(scope="package")
def events() -> list[Event]:
    return make_events(seed=7, count=1500)


@pytest.fixture(scope="package")
def warehouse(tmp_path_factory: pytest.TempPathFactory, events: list[Event]) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp("query_api")
    with Warehouse(f"chdb:///{folder}") as warehouse:
        migrate(warehouse)
        store(warehouse, [as_table("acme", events), as_table("rival", make_events(seed=8, count=300))])
        yield warehouse


@pytest.fixture(scope="package")
def app(warehouse: Warehouse) -> FastAPI:
    """Built once: it is slow to build, and keeps nothing between tests but short-lived answers."""
    clock = ManualClock(NOW)
    services = {
        "access": FakeAccess(),
        "semantic": SemanticLayer(warehouse, warehouse_sources(), clock),
        "warehouse": warehouse,
        "clock": clock,
        "metrics": Metrics(),
        "live": LiveFeed(),
        "checks": {},
    }
    return build_web("0", ENDPOINTS, services)


def client_of(app: FastAPI, key: str) -> httpx.AsyncClient:
    """A client with that key."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers)


@pytest.fixture
async def acme(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, "lh_acme") as client:
        yield client


@pytest.fixture
async def rival(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, "lh_rival") as client:
        yield client
