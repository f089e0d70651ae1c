"""A fake hub behind the real pages, in this process and on a loopback port."""

import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.dashboard.fake_api import FakeHub, build

NOW = datetime(2026, 11, 20, 12, 0, 3, tzinfo=UTC)


@pytest.fixture(scope="session")
def data() -> FakeHub:
    """A week of events up to a moment that does not move."""
    return FakeHub(NOW, rows=12_000)


@pytest.fixture
def hub(data: FakeHub) -> FakeHub:
    """The same data, with the knobs of one test."""
    return data.fresh()


@pytest.fixture
async def client(hub: FakeHub) -> AsyncIterator[httpx.AsyncClient]:
    """Asks the pages in this process."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(build(hub)), base_url="http://hub") as asking:
        yield asking


@contextlib.contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    """The address of an app on a free loopback port, until the block is left."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def serve() -> Callable[[FastAPI], AbstractContextManager[str]]:
    return serving
