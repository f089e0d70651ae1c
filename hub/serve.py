"""Serve the web application until a signal comes, then drain and stop, in this order."""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from core.errors import HubError

#: How long open requests may go on after the signal; live streams never end by themselves.
GRACE_SECONDS = 5


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handling, which raises the signal again at the end: the exit status is to be 0."""

    def __init__(self, app: FastAPI) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=75,
                lifespan="off",
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; raises :class:`HubError` when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise HubError(f"cannot listen on {host}:{port} ({error.strerror}): choose another --port") from None
    listener.listen(1024)
    return listener


def url_of(listener: socket.socket) -> str:
    """The URL under which this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - it is read, not bound to
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def announced(folder: Path, url: str) -> Iterator[None]:
    """``hub.json`` tells the other commands where the hub is, for as long as it runs."""
    file = folder / "hub.json"
    partial = folder / "hub.json.new"
    partial.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n")
    partial.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


async def serve(
    app: FastAPI,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    started: Callable[[], Awaitable[None]],
    drain: Callable[[], Awaitable[None]],
) -> None:
    """Answer requests until ``stop`` is set.

    Parameters
    ----------
    app, listener, stop
        What to serve, where, and until when.
    started
        Called once the server answers.
    drain
        Called when ``stop`` is set; the server answers until it returns.
    """
    server = QuietServer(app)
    ending = asyncio.create_task(_end(server, stop, drain))
    try:
        await asyncio.gather(server.serve(sockets=[listener]), _announce(server, started))
    finally:
        ending.cancel()


async def _end(server: uvicorn.Server, stop: asyncio.Event, drain: Callable[[], Awaitable[None]]) -> None:
    await stop.wait()
    await drain()
    server.should_exit = True


async def _announce(server: uvicorn.Server, started: Callable[[], Awaitable[None]]) -> None:
    """uvicorn tells nobody when it is up but by this flag."""
    while not (server.started or server.should_exit):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    if server.started:
        await started()
