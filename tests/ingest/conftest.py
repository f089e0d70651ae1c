"""An intake over a log in memory, and a client of the doors."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from core.clock import ManualClock
from core.errors import HubError
from core.metrics import Metrics
from ingest.doors import DOORS
from ingest.intake import Intake
from ingest.limits import Limits
from tests.ingest.fakes import NOW, FakeAccess, FakeLog, reverse


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def log(clock: ManualClock) -> FakeLog:
    return FakeLog(clock)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def limits() -> Limits:
    """Nothing waits: every body is committed at once."""
    return Limits(gather_events=0, body_bytes=1 << 20, decompressed_bytes=2 << 20, row_bytes=64 << 10)


@pytest.fixture
async def intake(log: FakeLog, clock: ManualClock, metrics: Metrics, limits: Limits) -> AsyncIterator[Intake]:
    intake = Intake(log, clock, metrics, reverse, limits=limits)
    yield intake
    await intake.stop()


@pytest.fixture
async def client(intake: Intake) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    for door in DOORS:
        app.include_router(door)
    app.state.intake = intake

    @app.exception_handler(HubError)
    async def problem(request: Request, error: HubError) -> JSONResponse:
        return JSONResponse({"detail": error.detail, **error.extra}, error.status, dict(error.headers))

    app.state.access = FakeAccess()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://hub", headers={"x-api-key": "lh_acme"}
    ) as client:
        yield client
