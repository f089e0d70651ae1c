"""A small HTTP front over chDB that speaks enough of ClickHouse's HTTP interface for clickhouse-connect.

ClickHouse's own server cannot be had from package registries; its engine can. ``python -m tests.servers.clickhouse DIR
PORT`` serves the engine's folder ``DIR`` on loopback until SIGTERM. Every request has a connection of the engine for
itself (0.1 ms), so that settings and databases of requests stay apart as on a server without sessions.

:class:`ClickHouseFront` runs it as a process of its own that can be stopped, killed and made to misbehave.
"""

import argparse
import contextlib
import os
import signal
import socket
import socketserver
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

import pytest

from storage.warehouse.client import Warehouse
from tests.servers.clickhouse_http import PASSWORD, USER, Engine, Handler
from tests.servers.process import Program, free_ports, listens

SETTING = "LLM_HUB_TEST_CLICKHOUSE"
ROOT = Path(__file__).resolve().parents[2]

#: ``refuse`` closes the port and every connection; ``hang`` takes requests and works on them only when it is over;
#: ``error`` answers 500 without any work; ``lose`` does the work and then cuts the connection instead of answering.
Mode = Literal["refuse", "hang", "error", "lose"]


class Listener(ThreadingHTTPServer):
    """The open port; its connections can be cut."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, front: "Front") -> None:
        self.front = front
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", front.port), Handler)
        if front.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(front.certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no error of the front."""

    def cut(self) -> None:
        """End every connection, whatever is under way on it."""
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class Front:
    """The serving process: the engine, its port, and how it behaves."""

    def __init__(self, folder: Path, port: int, certificate: str = "", shards: int = 0) -> None:
        self.port, self.certificate = port, certificate
        self.engine = Engine(folder, PASSWORD, shards)
        self._listener: Listener | None = None
        self._mode: tuple[str, float] = ("", 0.0)
        self._changed = threading.Condition()
        self._busy = 0

    def listen(self) -> None:
        """Open the port."""
        self._listener = Listener(self)
        threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True).start()

    def deaf(self) -> None:
        """Close the port and every connection."""
        if self._listener:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.cut()
            self._listener = None

    def misbehave(self, mode: str, seconds: float) -> None:
        """From now on, for so long."""
        with self._changed:
            self._mode = (mode, time.monotonic() + seconds)
            self._changed.notify_all()
        if mode == "refuse":
            self.deaf()
            threading.Timer(seconds, self._recover).start()
        elif self._listener is None:
            self.listen()

    def mode(self) -> str:
        """How it behaves now; empty: well."""
        mode, until = self._mode
        return mode if time.monotonic() < until else ""

    def until_well(self) -> None:
        """Wait while it hangs."""
        with self._changed:
            while self.mode() == "hang":
                self._changed.wait(self._mode[1] - time.monotonic())

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """A request is under way."""
        with self._changed:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def close(self) -> None:
        """Finish what is under way, and end."""
        if self._listener:
            self._listener.shutdown()
            self._listener.server_close()
        with self._changed:
            self._changed.wait_for(lambda: not self._busy, timeout=30)
        self.engine.close()

    def _recover(self) -> None:
        if self._listener is None and not self.mode():
            self.listen()


class RunningServer:
    """Somebody's server, by its URL; any database of it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str = "default") -> str:
        """The warehouse URL of a database."""
        return urlunsplit(urlsplit(self._url)._replace(path=f"/{database}"))

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database that nobody else has; it goes afterwards."""
        name = f"test_{uuid.uuid4().hex}"
        yield self.url(name)
        with Warehouse(self.url()) as warehouse:
            warehouse.command(f"DROP DATABASE IF EXISTS {name} SYNC")


class ClickHouseFront(RunningServer):
    """The front in a process of its own; stopped or killed, it starts again on what it has, at one address.

    Parameters
    ----------
    folder
        Of the engine's data and the front's log.
    port
        Of loopback; a free one unless given. The next one takes :meth:`misbehave`.
    certificate
        A PEM file with certificate and key: it speaks TLS, as ``localhost``.
    zone
        The server's time zone.
    shards
        It plays a cluster ``main`` of so many shards, each a database of the one engine; without replication.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int | None = None,
        certificate: Path | None = None,
        zone: str = "UTC",
        shards: int = 0,
    ) -> None:
        self.folder, self.port, self.certificate = folder, free_ports(2) if port is None else port, certificate
        self._zone, self._shards = zone, shards
        folder.mkdir(parents=True, exist_ok=True)
        self._program = Program(folder / "front.log")
        scheme, host = ("clickhouses", "localhost") if certificate else ("clickhouse", "127.0.0.1")
        super().__init__(f"{scheme}://{USER}:{PASSWORD}@{host}:{self.port}/default")

    @property
    def pid(self) -> int:
        """The process id of the front."""
        return self._program.pid

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-m", "tests.servers.clickhouse", str(self.folder / "data"), str(self.port)]
        if self.certificate:
            command += ["--certificate", str(self.certificate)]
        command += ["--control", str(self.port + 1), "--shards", str(self._shards)]
        environment = {"TZ": self._zone, "PYTHONPATH": str(ROOT), "COVERAGE_PROCESS_START": "", "PYTHONWARNINGS": ""}
        self._program.start(command, lambda: listens(self.port), env=environment)

    def stop(self) -> None:
        """Let it finish what is under way, and end."""
        self._program.stop()

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._program.kill()

    def misbehave(self, mode: Mode, seconds: float) -> None:
        """From now on, for so long; returns when it does. ``seconds`` 0 ends what goes on."""
        with socket.create_connection(("127.0.0.1", self.port + 1), timeout=10) as control:
            control.sendall(f"{mode} {seconds}\n".encode())
            assert control.recv(8) == b"ok"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()


@pytest.fixture(scope="session")
def clickhouse_front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server for every test: the one of LLM_HUB_TEST_CLICKHOUSE, or the front. Take a database of your own."""
    if url := os.environ.get(SETTING):
        yield RunningServer(url)
        return
    with ClickHouseFront(tmp_path_factory.mktemp("clickhouse")) as front:
        yield front


class _Control(socketserver.StreamRequestHandler):
    """Takes ``mode seconds`` from whoever tests."""

    def handle(self) -> None:
        """One line, one answer."""
        mode, seconds = self.rfile.readline().split()
        server: Any = self.server
        server.front.misbehave(mode.decode(), float(seconds))
        self.wfile.write(b"ok")


def main() -> None:
    """Serve a folder of the engine as ClickHouse over HTTP, on loopback, until SIGTERM."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--certificate", default="", help="PEM file with certificate and key, for TLS")
    parser.add_argument("--shards", type=int, default=0, help="play a cluster `main` of so many shards")
    parser.add_argument("--control", type=int, default=0, help="port that takes lines such as `hang 10`")
    options = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    front = Front(options.folder, options.port, options.certificate, options.shards)
    if options.control:
        control: Any = socketserver.ThreadingTCPServer(("127.0.0.1", options.control), _Control)
        control.front = front
        threading.Thread(target=control.serve_forever, daemon=True).start()
    front.listen()
    ended.wait()
    front.close()


if __name__ == "__main__":
    main()
