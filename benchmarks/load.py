"""Load: bodies whose ids are new at every request without building them anew, and a lean HTTP client.

The generator shares the cores with the hub, so it must cost next to nothing: a body is built once, and before each
request eight hex digits of every id are overwritten with a counter.
"""

import asyncio
import gzip
import io
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
import orjson
import pyarrow as pa

MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("anthropic", "claude-sonnet-4-0"),
    ("google", "gemini-2.5-pro"),
)
MARK = "00000000"
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


def event(rng: random.Random, number: int, now: datetime) -> dict[str, Any]:
    """One ``llm.request`` like the one in the contract; its id begins with :data:`MARK`."""
    provider, model = rng.choice(MODELS)
    failed = rng.random() < 0.02
    output = 0 if failed else int(rng.lognormvariate(5, 1))
    duration = rng.lognormvariate(7, 0.6)
    data: dict[str, Any] = {
        "provider": provider,
        "model": model,
        "operation": "chat",
        "input_tokens": int(rng.lognormvariate(6.5, 0.9)),
        "output_tokens": output,
        "duration_ms": round(duration, 3),
        "time_to_first_token_ms": round(duration * 0.2, 3),
        "status": "error" if failed else "ok",
    }
    data |= {"error_type": "rate_limit", "http_status_code": 429} if failed else {"finish_reason": "stop"}
    when = now - timedelta(milliseconds=rng.randrange(60_000))
    return {
        "id": MARK + str(uuid.uuid4())[8:],  # new in every run: a hub knows those of the last minutes
        "type": "llm.request",
        "source": "gateway",
        "time": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "project": rng.choice(("support-bot", "code-assistant", "rag-search")),
        "environment": "production",
        "trace_id": f"{rng.getrandbits(128):032x}",
        "span_id": f"{rng.getrandbits(64):016x}",
        "session_id": f"s-{number % 997}",
        "user_id": f"u-{int(rng.paretovariate(0.9)) % 5000}",
        "data": data,
        "attributes": {"region": rng.choice(("eu-west-1", "us-east-1"))},
    }


class ForEvents:
    """Bodies for the events door."""

    path = "/v1/events"
    rows: int

    def taken(self, status: int, answer: bytes) -> bool:
        """Whether all of a body was."""
        return status == 202 and orjson.loads(answer)["accepted"] == self.rows


class NdjsonBody(ForEvents):
    """An NDJSON body of ``rows`` events whose ids change at every :meth:`next`."""

    content_type = "application/x-ndjson"

    def __init__(self, rows: int, seed: int) -> None:
        rng, now = random.Random(seed), datetime.now(UTC)
        lines = [orjson.dumps(event(rng, number, now)) for number in range(rows)]
        self.rows = rows
        self._buffer = np.frombuffer(b"\n".join(lines), np.uint8).copy()
        starts = np.cumsum([0, *(len(line) + 1 for line in lines[:-1])])
        self._at = (starts + lines[0].index(MARK.encode()))[:, None] + np.arange(8)

    def next(self, counter: int) -> bytes:
        """The body with ids that belong to ``counter`` alone."""
        numbers = (np.uint64(counter) * np.uint64(self.rows) + np.arange(self.rows, dtype=np.uint64)) & np.uint64(
            0xFFFFFFFF
        )
        shifts = np.arange(28, -1, -4, dtype=np.uint64)
        self._buffer[self._at] = _DIGITS[((numbers[:, None] >> shifts) & np.uint64(15)).astype(np.intp)]
        return self._buffer.tobytes()


class GzipBody(ForEvents):
    """NDJSON bodies compressed before the run: compressing is the sender's cost, not the hub's."""

    content_type = "application/x-ndjson"

    def __init__(self, rows: int, seed: int, count: int) -> None:
        body = NdjsonBody(rows, seed)
        self.rows = rows
        self._ready = [gzip.compress(body.next((seed << 16) + number), 1) for number in range(count)]

    def next(self, counter: int) -> bytes:  # noqa: ARG002 - each is used once
        """The next body; raises ``IndexError`` when all were used."""
        return self._ready.pop()


class ArrowBody(ForEvents):
    """The same events as an Arrow IPC stream."""

    content_type = "application/vnd.apache.arrow.stream"

    def __init__(self, rows: int, seed: int) -> None:
        rng, now = random.Random(seed), datetime.now(UTC)
        self.rows = rows
        table = pa.Table.from_pylist([event(rng, number, now) for number in range(rows)])
        attributes = pa.array(
            [list(item.items()) for item in table.column("attributes").to_pylist()], pa.map_(pa.string(), pa.string())
        )
        self._table = table.set_column(table.schema.get_field_index("attributes"), "attributes", attributes)
        ids = np.frombuffer("".join(table.column("id").to_pylist()).encode(), np.uint8).reshape(rows, 36).copy()
        self._ids, self._at = ids, table.schema.get_field_index("id")

    def next(self, counter: int) -> bytes:
        """The stream with ids that belong to ``counter`` alone."""
        numbers = (np.uint64(counter) * np.uint64(self.rows) + np.arange(self.rows, dtype=np.uint64)) & np.uint64(
            0xFFFFFFFF
        )
        shifts = np.arange(28, -1, -4, dtype=np.uint64)
        self._ids[:, :8] = _DIGITS[((numbers[:, None] >> shifts) & np.uint64(15)).astype(np.intp)]
        offsets = np.arange(0, 36 * (self.rows + 1), 36, dtype=np.int32)
        ids = pa.StringArray.from_buffers(self.rows, pa.py_buffer(offsets), pa.py_buffer(self._ids.tobytes()))
        sink = io.BytesIO()
        table = self._table.set_column(self._at, "id", ids)
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        return sink.getvalue()


class Body(Protocol):
    """Bodies of ``rows`` events that are all new at every :meth:`next`."""

    content_type: str
    path: str
    rows: int

    def next(self, counter: int) -> bytes:
        """The body with ids that belong to ``counter`` alone; raises ``IndexError`` when there are no more."""

    def taken(self, status: int, answer: bytes) -> bool:
        """Whether all of a body was."""


@dataclass
class Sent:
    """What a run sent, and how the hub answered."""

    events: int = 0
    requests: int = 0
    busy: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)


class Connection:
    """One keep-alive connection that posts bodies; nothing of HTTP that the benchmark does not need."""

    def __init__(self, url: str, key: str, content_type: str, encoding: str = "", path: str = "/v1/events") -> None:
        self._host, port = url.removeprefix("http://").split(":")
        self._port = int(port)
        extra = f"Content-Encoding: {encoding}\r\n" if encoding else ""
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {key}\r\n"
            f"Content-Type: {content_type}\r\n{extra}Content-Length: "
        )

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Send one body; status and answer."""
        self._writer.write(f"{self._head}{len(body)}\r\n\r\n".encode())
        self._writer.write(body)
        await self._writer.drain()
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        return int(head[9:12]), await self._reader.readexactly(length)

    def close(self) -> None:
        self._writer.close()


class Poster(Protocol):
    """A way to a door."""

    async def open(self) -> None:
        """Connect."""

    async def post(self, body: bytes) -> tuple[int, bytes]:
        """Send one body; status as HTTP has it, and answer."""

    def close(self) -> None:
        """Be done."""


async def drive(
    url: str,
    key: str,
    make: Callable[[int], Body],
    *,
    seconds: float,
    connections: int,
    rate: float | None = None,
    encoding: str = "",
    connect: Callable[[str, str, Body, str], Poster] | None = None,
) -> Sent:
    """Post bodies over ``connections`` for ``seconds``, as fast as they are taken or at ``rate`` a second."""
    connect = connect or (lambda url, key, body, encoding: Connection(url, key, body.content_type, encoding, body.path))
    sent = Sent()
    began = time.monotonic()

    async def one(number: int) -> None:
        body = make(number)
        connection = connect(url, key, body, encoding)
        await connection.open()
        counter = number << 16
        pause = connections * body.rows / rate if rate else 0.0
        due = began + pause * number / connections
        while time.monotonic() - began < seconds:
            if pause:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                due += pause
            try:
                content = body.next(counter)
            except IndexError:
                break
            started, status = time.monotonic(), 503
            while status == 503:
                status, answer = await connection.post(content)
                if status == 503:
                    sent.busy += 1
                    await asyncio.sleep(0.1)
            if not body.taken(status, answer):
                raise RuntimeError(f"{status}: {answer!r}")
            sent.latencies.append(time.monotonic() - started)
            sent.events += body.rows
            sent.requests += 1
            counter += 1
        connection.close()

    await asyncio.gather(*(one(number) for number in range(connections)))
    sent.seconds = time.monotonic() - began
    return sent
