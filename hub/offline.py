"""The administration of a hub that is not running: the same endpoints, on loopback, while a command needs them."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hub.settings import Settings
from hub.target import Folder, Running, admin_key

if TYPE_CHECKING:
    from fastapi import FastAPI

_Ready = Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]
_Serve = Callable[[Settings, _Ready], Awaitable[None]]


@contextmanager
def serving(target: Running | Folder, *, whole: bool = False) -> Iterator[Running]:
    """A hub to talk to: the running one, or the folder's own administration served meanwhile.

    ``whole``: with everything that can be asked for, so with log and warehouse; only what works through events is left
    out.
    """
    if isinstance(target, Running):
        yield target
        return
    ready: _Ready = Future()
    serve = _api if whole else _administration
    thread = threading.Thread(target=asyncio.run, args=(_serve(serve, target.settings, ready),), name="administration")
    thread.start()
    try:
        url, loop, stop = ready.result()
        try:
            yield Running(url, admin_key(target.settings))
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join()


async def _serve(serve: _Serve, settings: Settings, ready: _Ready) -> None:
    try:
        await serve(settings, ready)
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)


async def _api(settings: Settings, ready: _Ready) -> None:
    from hub.compose import Hub

    hub = Hub(settings, "api")
    try:
        await _until_stopped(await hub.start(), ready)
    finally:
        await hub.stop()


async def _until_stopped(app: "FastAPI", ready: _Ready) -> None:
    from hub.serve import QuietServer, listen, url_of

    listener = listen("127.0.0.1", 0)
    server = QuietServer(app)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stop = asyncio.Event()
    ready.set_result((url_of(listener), asyncio.get_running_loop(), stop))
    await stop.wait()
    server.should_exit = True
    await serving


async def _administration(settings: Settings, ready: _Ready) -> None:
    from access.service import Access
    from core.clock import SystemClock
    from hub.web import build_web
    from hub.wiring import access_config
    from query_api.endpoints import keys
    from storage.metadata.database import Metadata

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    clock, metadata = SystemClock(), Metadata(settings.database_url)
    await metadata.start()
    try:
        await metadata.migrate()
        access = Access(metadata, clock, access_config(settings))
        await access.start()
        await _until_stopped(build_web("offline", [keys.router], {"access": access, "clock": clock}), ready)
        await access.stop()
    finally:
        await metadata.stop()
