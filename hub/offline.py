"""The administration of a hub that is not running: the same endpoints, on loopback, while a command needs them."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager

from hub.settings import Settings
from hub.target import Folder, Running, admin_key


@contextmanager
def serving(target: Running | Folder) -> Iterator[Running]:
    """A hub to talk to: the running one, or the folder's own administration served meanwhile."""
    if isinstance(target, Running):
        yield target
        return
    ready: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
    thread = threading.Thread(target=asyncio.run, args=(_serve(target.settings, ready),), name="administration")
    thread.start()
    try:
        url, loop, stop = ready.result()
        try:
            yield Running(url, admin_key(target.settings))
        finally:
            loop.call_soon_threadsafe(stop.set)
    finally:
        thread.join()


async def _serve(settings: Settings, ready: "Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]") -> None:
    try:
        await _administration(settings, ready)
    except BaseException as error:
        if ready.done():
            raise
        ready.set_exception(error)


async def _administration(
    settings: Settings, ready: "Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]]"
) -> None:
    from access.service import Access
    from core.clock import SystemClock
    from hub.serve import QuietServer, listen, url_of
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
        listener = listen("127.0.0.1", 0)
        server = QuietServer(build_web("offline", [keys.router], {"access": access, "clock": clock}))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stop = asyncio.Event()
        ready.set_result((url_of(listener), asyncio.get_running_loop(), stop))
        await stop.wait()
        server.should_exit = True
        await serving
        await access.stop()
    finally:
        await metadata.stop()
