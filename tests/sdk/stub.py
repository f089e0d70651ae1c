"""A hub that misbehaves as told, on a port of its own."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import zstandard

PATIENCE = 20.0
DROP = -1  # close the connection instead of answering


@dataclass
class Request:
    """What arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def plain(self) -> bytes:
        """The body without its compression."""
        match self.headers.get("content-encoding"):
            case "gzip":
                return gzip.decompress(self.body)
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(self.body)
            case _:
                return self.body

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines."""
        return [json.loads(line) for line in self.plain.split(b"\n")]


@dataclass
class Reply:
    """How to answer: a status (or :data:`DROP`), headers, a body (by default the hub's own)."""

    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | bytes | None = None
    wait: threading.Event | None = None


Script = Callable[[Request], Reply | None]


class StubHub:
    """Answers 202 to everything, unless ``replies`` holds something else for the next request, or ``script`` does."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.replies: list[Reply] = []
        self.script: Script = lambda _request: None
        self.arrived = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                request = Request({name.lower(): value for name, value in self.headers.items()}, body)
                request.headers[":path"] = self.path
                reply = outer.take(request)
                if reply.wait is not None:
                    reply.wait.wait(PATIENCE)
                if reply.status == DROP:
                    self.close_connection = True
                    return
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                try:
                    self.send_response(reply.status)
                    for name, value in reply.headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # the client has gone

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, request: Request) -> Reply:
        """The answer to a request."""
        with self.arrived:
            self.requests.append(request)
            reply = self.replies.pop(0) if self.replies else self.script(request) or Reply()
            self.arrived.notify_all()
        if reply.body is None:
            count = len(request.events)
            reply.body = {"accepted": count, "rejected": 0, "duplicates": 0, "errors": []}
        return reply

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition`` holds, looked at when something arrives."""
        with self.arrived:
            assert self.arrived.wait_for(condition, PATIENCE)

    @property
    def events(self) -> list[dict[str, Any]]:
        """All that arrived, in order, also in requests that were refused."""
        return [event for request in self.requests for event in request.events]


@contextmanager
def stub_hub() -> Iterator[StubHub]:
    """A stub that is served as long as the context lasts."""
    stub = StubHub()
    thread = threading.Thread(target=stub.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stub
    finally:
        stub.server.shutdown()
        thread.join()
        stub.server.server_close()
