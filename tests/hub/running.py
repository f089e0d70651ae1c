"""A whole hub inside the test's process: in the test's own loop, or served by a thread for the commands."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from core.clock import Clock
from hub.compose import Hub
from hub.serve import QuietServer, announced, listen, url_of
from hub.settings import Settings, load

#: Seconds that anything may take on a loaded machine.
PATIENCE = 120.0
EVERYTHING = {"measures": ["events"], "time": {"from": "now-30d", "to": "now+1d"}}


def settings_of(folder: Path, **more: Any) -> Settings:
    """Settings of a hub in ``folder``, whatever the environment says."""
    return load({"data_dir": folder, "port": 0, "otlp_grpc": "off", **more}, environ={})


def an_event(**more: Any) -> dict[str, Any]:
    """A good event of now."""
    data = {"provider": "openai", "model": "gpt-4o", "input_tokens": 10, "output_tokens": 5, "duration_ms": 12.5}
    return {"type": "llm.request", "source": "gateway", "time": datetime.now(UTC).isoformat(), "data": data, **more}


@dataclass
class Opened:
    """A hub that has started, its web application, and a client with the first key."""

    hub: Hub
    app: FastAPI
    client: httpx.AsyncClient
    key: str

    def as_somebody(self, key: str | None, host: str = "127.0.0.1") -> httpx.AsyncClient:
        """A client with another key, or none."""
        return client_of(self.app, key, host)

    async def send(self, *events: dict[str, Any], **headers: str) -> dict[str, Any]:
        """Post events with the first key; the answer's body."""
        answer = await self.client.post("/v1/events", json=list(events), headers=headers)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def count(self, at_least: int = 0) -> int:
        """How many events a question sees, once it sees ``at_least`` so many."""
        return await count(self.client, at_least)


def client_of(app: FastAPI, key: str | None, host: str = "127.0.0.1") -> httpx.AsyncClient:
    """A client that talks to the application without a socket."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(host, 1234))
    return httpx.AsyncClient(transport=transport, base_url="http://hub", headers=headers, timeout=PATIENCE)


async def count(client: httpx.AsyncClient, at_least: int) -> int:
    """How many events the client's tenant has, once there are ``at_least`` so many."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = await client.post("/v1/query", json=EVERYTHING)
            assert answer.status_code == 200, answer.text
            rows = answer.json()["rows"]
            if (found := int(rows[0][0]) if rows else 0) >= at_least:
                return found
            await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Opened]:
    """A hub in this loop, without a socket."""
    hub = Hub(settings, clock=clock)
    app = await hub.start()
    key = (settings.data_dir / "admin.key").read_text().strip()
    try:
        async with client_of(app, key) as client:
            yield Opened(hub, app, client, key)
    finally:
        await hub.stop()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A hub that a thread serves on a port of its own, announced in its folder; gives the URL."""
    ready: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=asyncio.run, args=(_serve(settings_of(folder), ready),))
    thread.start()
    try:
        url, loop, stop = ready.result(PATIENCE)
        try:
            yield url
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join()


async def _serve(settings: Settings, ready: "Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]") -> None:
    hub = Hub(settings)
    listener = listen("127.0.0.1", 0)
    try:
        server = QuietServer(await hub.start())
        with announced(settings.data_dir, url_of(listener)):
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            stop = asyncio.Event()
            ready.set_result((url_of(listener), asyncio.get_running_loop(), stop))
            await stop.wait()
            server.should_exit = True
            await serving
    except BaseException as error:
        if not ready.done():
            ready.set_exception(error)
        raise
    finally:
        listener.close()
        await hub.stop()
