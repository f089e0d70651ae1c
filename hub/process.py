"""One process of the hub from start to drained stop."""

import asyncio
import contextlib
import gc
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from hub.settings import Settings

if TYPE_CHECKING:
    from hub.compose import Hub, Role

T = TypeVar("T")
logger = logging.getLogger("llm_hub")

Started = Callable[["Hub", str], Awaitable[None]]


def run_hub(settings: Settings, role: "Role" = "all", started: Started | None = None) -> int:
    """Run until SIGTERM or SIGINT, then drain; the exit status.

    Parameters
    ----------
    settings, role
        See :class:`hub.compose.Hub`.
    started
        Called with the hub and its URL once it answers; a task that it starts ends with the hub.
    """
    from hub.logs import configure

    configure(settings.log_level, settings.log_format, role)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_run(settings, role, started))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return None
    return uvloop.new_event_loop


async def _run(settings: Settings, role: "Role", started: Started | None) -> int:
    from hub.compose import Hub
    from hub.serve import announced, listen, serve, url_of

    listener = listen(settings.host, settings.port)
    url = url_of(listener)
    hub: Hub | None = None
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    try:
        hub = Hub(settings, role)
        app = await _unless(stop, hub.start())
        if app is None:
            return 0
        _calm_the_collector()
        # Commands look for a hub that answers questions there.
        with announced(settings.data_dir, url) if role in ("all", "api") else contextlib.nullcontext():

            async def ready() -> None:
                say(f"LLM Analytics Hub is ready at {url}")
                if started is not None:
                    await started(hub, url)

            await serve(app, listener, stop, started=ready, drain=hub.drain)
    finally:
        listener.close()
        if hub is not None:
            await hub.stop()
    say("stopped")
    return 0


async def _unless(stop: asyncio.Event, starting: Coroutine[Any, Any, T]) -> T | None:
    """What ``starting`` gives, or None when it was told to stop meanwhile."""
    task, stopped = asyncio.ensure_future(starting), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return await task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None
    finally:
        stopped.cancel()


def _calm_the_collector() -> None:
    """Do not look again and again at what was imported: full collections took a sixth of the hub's time under load."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def say(text: str) -> None:
    """A line for the person at the terminal."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
