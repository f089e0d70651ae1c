"""Requests of ClickHouse's HTTP interface, answered by chDB: the inside of :mod:`tests.servers.clickhouse`."""

import base64
import contextlib
import email.parser
import email.policy
import hmac
import io
import itertools
import json
import os
import re
import socket
import zlib
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa

if TYPE_CHECKING:
    from tests.servers.clickhouse import Front, Listener

USER = "hub"
PASSWORD = "front"  # of a server on loopback that lives as long as a test

_TRANSPORT = frozenset(
    {"query", "database", "user", "password", "default_format", "session_id", "session_timeout", "session_check"}
    | {"query_id", "quota_key", "wait_end_of_query", "buffer_size", "compress", "decompress", "close_session", "role"}
    | {"client_protocol_version", "stacktrace"}
)
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s[^;]*?)\s+FORMAT\s+(\w+)[ \t]*\n", re.IGNORECASE | re.DOTALL)
_STREAMED = re.compile(r"\s*(?:SELECT|WITH)\b.*\bFORMAT\s+(Native|ArrowStream)\s*$", re.IGNORECASE | re.DOTALL)
_ANSWERED = re.compile(r"\s*(?:SELECT|WITH|SHOW|DESC|DESCRIBE|EXISTS|EXPLAIN)\b", re.IGNORECASE)
_CODE = re.compile(r"Code: (\d+)\. .*", re.DOTALL)
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Of ``<database>_local``, a statement on the cluster is done on each shard; of another database once.
_ON_CLUSTER = re.compile(r"ON CLUSTER '\w+'")
_DISTRIBUTED = re.compile(r"ENGINE = Distributed\('\w*', '\w*', '(\w+)'.*\)")
_REPLICATED = re.compile(r"Replicated(\w*)MergeTree\('[^']*', '[^']*'\)")
#: Statuses by code as the server maps them; all others are 500.
_STATUS = {
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 42, 43, 53, 62, 70, 72, 117, 376), 400),
    **dict.fromkeys((46, 47, 60, 63, 73, 81, 115), 404),
    159: 408,
    194: 401,
    516: 403,
    192: 403,
    193: 403,
    48: 501,
    439: 503,
}


class _Refused(Exception):
    """What is answered with an exception code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


class Engine:
    """The engine of this process, one connection a request."""

    def __init__(self, folder: Path, password: str, shards: int = 0) -> None:
        import chdb

        from storage.warehouse.config import WarehouseConfig
        from storage.warehouse.embedded import engine_options

        folder.mkdir(parents=True, exist_ok=True)
        spelt = "&".join(f"{name}={value}" for name, value in engine_options(WarehouseConfig()).items())
        self.shards = [f"shard_{number + 1}" for number in range(shards)]
        if shards:
            spelt += f"&config-file={self._configured(folder.resolve().parent / 'cluster.xml')}"
        self._address = f"{folder.resolve()}?{spelt}"
        self._connect: Any = chdb.connect
        self._password = password
        self._first = self._connect(self._address)  # the engine ends with its last connection
        for name in self.shards:
            self._first.query(f"CREATE DATABASE IF NOT EXISTS {name}")

    def _configured(self, file: Path) -> Path:
        """A configuration with a cluster ``main`` whose shards are databases of this engine."""
        one = "<host>localhost</host><port>9000</port><default_database>{}</default_database>"
        shards = "".join(f"<shard><replica>{one.format(name)}</replica></shard>" for name in self.shards)
        head = "<logger><level>none</level></logger><tcp_port>9000</tcp_port>"
        file.write_text(f"<clickhouse>{head}<remote_servers><main>{shards}</main></remote_servers></clickhouse>")
        return file

    def admits(self, user: str, password: str) -> bool:
        """Whether this is the user's password."""
        return user == USER and hmac.compare_digest(password.encode(), self._password.encode())

    @contextlib.contextmanager
    def connection(self, values: dict[str, str]) -> Iterator[Any]:
        """A connection with the request's database and settings."""
        connection = self._connect(self._address)
        try:
            if database := values.get("database"):
                connection.query(f"USE {_name(database)}")
            settings = {
                name: value
                for name, value in values.items()
                if name not in _TRANSPORT and not name.startswith("param_")
            }
            if settings:
                spelt = ", ".join(f"{_plain(name)} = {_quoted(value)}" for name, value in settings.items())
                connection.query(f"SET {spelt}")
            yield connection
        finally:
            connection.close()

    def close(self) -> None:
        """End the engine."""
        self._first.close()


def _plain(name: str) -> str:
    if not _PLAIN.fullmatch(name):
        raise _Refused(115, f"Unknown setting '{name}'")
    return name


def _name(name: str) -> str:
    return f"`{name.replace('`', '')}`"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: "Listener"

    @property
    def front(self) -> "Front":
        """Whose request this is."""
        return self.server.front

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """No log: the tests' output is theirs."""

    def do_GET(self) -> None:
        """``/ping``, or a statement."""
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        """A statement, in the body or in ``query``; the rest of the body is its data."""
        values = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        if body is None:
            self.close_connection = True
            return
        with self.front.working():
            self.front.until_well()
            try:
                self._admit(values)
                self._statement(values, body)
            except (ConnectionError, TimeoutError):
                self.close_connection = True
            except Exception as error:
                self._fail(error)

    def _body(self) -> bytes | None:
        """The whole body, decompressed; None when the client is gone before its end."""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            parts = []
            while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            if len(body) < length:
                return None
        return _decompressed(body, self.headers.get("Content-Encoding", ""))

    def _admit(self, values: dict[str, str]) -> None:
        if self.front.mode() == "error":
            raise _Refused(999, "Session expired. (KEEPER_EXCEPTION)")
        user, password = self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key")
        kind, _, told = self.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            user, _, password = base64.b64decode(told).decode().partition(":")
        if not self.front.engine.admits(user or values.get("user", ""), password or values.get("password", "")):
            raise _Refused(516, "Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)")

    def _statement(self, values: dict[str, str], body: bytes) -> None:
        if self.headers.get_content_type() == "multipart/form-data":
            values |= self._form(body)
            body = b""
        text = values.get("query", "").encode()
        whole = text + b"\n" + body if text and body else text or body
        with self.front.engine.connection(values) as connection:
            if insert := _INSERT.match(whole):
                self._insert(connection, insert, whole)
            else:
                self._ask(connection, whole.decode(), values)

    def _form(self, body: bytes) -> dict[str, str]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        return {
            str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True).decode()
            for part in message.iter_parts()
        }

    def _insert(self, connection: Any, insert: re.Match[bytes], whole: bytes) -> None:
        with connection.send_insert(insert[1].decode(), insert[2].decode()) as sink:
            if len(whole) > insert.end():
                sink.append(whole[insert.end() :])
            done = sink.finish()
        self._done(b"", {"written_rows": done.rows_written, "elapsed_ns": done.elapsed * 1e9})

    def _ask(self, connection: Any, text: str, values: dict[str, str]) -> None:
        bound = {name.removeprefix("param_"): value for name, value in values.items() if name.startswith("param_")}
        streamed = _STREAMED.match(text) if values.get("wait_end_of_query") != "1" else None
        if streamed:
            rows = (
                _native(connection, text, bound) if streamed[1].lower() == "native" else _arrow(connection, text, bound)
            )
            first = next(rows, b"")  # an error here is still one of the whole answer
            self._stream(first, rows, values)
            return
        if self.front.engine.shards and (found := _ON_CLUSTER.search(text)):
            text = _alone(text[: found.start()] + text[found.end() :])
            for name in self.front.engine.shards if values.get("database", "").endswith("_local") else ():
                connection.query(f"USE {name}")
                connection.query(text)
            connection.query(f"USE {_name(values.get('database', 'default'))}")
        if self.front.engine.shards:
            text = text.replace("_shard_num", "toUInt32(substring(_database, 7))")
            text = text.replace("cluster('main', system.mutations)", "system.mutations")
        result = connection.query(text, values.get("default_format", "TabSeparated"), params=bound)
        headers = {"X-ClickHouse-Format": "TabSeparated"} if _ANSWERED.match(text) else {}
        summary = {"read_rows": result.storage_rows_read(), "read_bytes": result.storage_bytes_read()}
        self._done(result.bytes() or b"", {**summary, "elapsed_ns": result.elapsed() * 1e9}, headers, values)

    def _done(
        self,
        body: bytes,
        summary: dict[str, float],
        headers: dict[str, str] | None = None,
        values: dict[str, str] | None = None,
    ) -> None:
        if self.front.mode() == "lose":
            self.connection.shutdown(socket.SHUT_RDWR)
            raise ConnectionAbortedError
        told = {"X-ClickHouse-Summary": json.dumps({name: str(int(value)) for name, value in summary.items()})}
        if body and (squeeze := self._compression(values or {})):
            told["Content-Encoding"] = squeeze.name
            body = squeeze.add(body) + squeeze.end()
        self._answer(200, body, {"X-ClickHouse-Timezone": _zone(values or {}), **told, **(headers or {})})

    def _stream(self, first: bytes, rest: Iterable[bytes], values: dict[str, str]) -> None:
        squeeze = self._compression(values)
        self.send_response(200)
        self.send_header("X-ClickHouse-Timezone", _zone(values))
        self.send_header("Transfer-Encoding", "chunked")
        if squeeze:
            self.send_header("Content-Encoding", squeeze.name)
        self.end_headers()
        try:
            for part in itertools.chain((first,), rest):
                self._chunk(squeeze.add(part) if squeeze else part)
            self._chunk(squeeze.end() if squeeze else b"")
        except Exception:
            self.close_connection = True  # no last chunk: the client knows that the answer is not whole
            raise ConnectionAbortedError from None
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _chunk(self, part: bytes) -> None:
        if part:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.flush()

    def _compression(self, values: dict[str, str]) -> "_Squeeze | None":
        if values.get("enable_http_compression") != "1":
            return None
        asked = [name.strip() for name in self.headers.get("Accept-Encoding", "").split(",")]
        return next((_Squeeze(name) for name in asked if name in ("lz4", "zstd", "gzip", "deflate")), None)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, _Refused):
            code, text = error.code, f"Code: {error.code}. DB::Exception: {error.text}"
        else:
            found = _CODE.search(str(error))
            code, text = (int(found[1]), found[0]) if found else (1002, f"Code: 1002. DB::Exception: {error}")
        self._answer(_STATUS.get(code, 500), text.encode() + b"\n", {"X-ClickHouse-Exception-Code": str(code)})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()


def _zone(values: dict[str, str]) -> str:
    return values.get("session_timezone") or os.environ.get("TZ", "UTC")


def _alone(text: str) -> str:
    """A statement for a cluster as an engine without Keeper and network can do it."""
    text = _REPLICATED.sub(r"\1MergeTree", text).replace(" replicated_dedup", " non_replicated_dedup")
    return _DISTRIBUTED.sub(r"ENGINE = Merge(REGEXP('^shard_[0-9]+$'), '^\1$')", text)


class _Squeeze:
    """One compressed answer, piece by piece."""

    def __init__(self, name: str) -> None:
        import lz4.frame
        import zstandard

        self.name = name
        self._begin = b""
        if name == "lz4":
            made: Any = lz4.frame.LZ4FrameCompressor()
            self._begin = made.begin()
        elif name == "zstd":
            made = zstandard.ZstdCompressor(level=1).compressobj()
        else:
            made = zlib.compressobj(1, zlib.DEFLATED, 31 if name == "gzip" else 15)
        self._made = made

    def add(self, part: bytes) -> bytes:
        begin, self._begin = self._begin, b""
        return begin + bytes(self._made.compress(part))

    def end(self) -> bytes:
        return bytes(self._made.flush())


def _decompressed(body: bytes, encoding: str) -> bytes:
    import lz4.frame
    import zstandard

    if encoding in ("", "identity"):
        return body
    if encoding == "lz4":
        return bytes(lz4.frame.decompress(body))
    if encoding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return zlib.decompress(body, 47)  # gzip and zlib by their first bytes


def _native(connection: Any, text: str, bound: dict[str, str]) -> Iterator[bytes]:
    for part in connection.send_query(text, "Native", params=bound):
        yield part.bytes()


def _arrow(connection: Any, text: str, bound: dict[str, str]) -> Iterator[bytes]:
    """An Arrow stream batch by batch; the engine's own pieces are a stream each."""
    plain = text[: text.upper().rindex("FORMAT")]
    found = connection.send_query(plain, "Arrow", params=bound)
    try:
        batches = iter(found.record_batch(65_536))
        first = next(batches, None)
        if first is None:
            yield connection.query(text, "ArrowStream", params=bound).bytes()
            return
        sink = io.BytesIO()
        writer = pa.ipc.new_stream(sink, first.schema)
        for batch in itertools.chain((first,), batches):
            writer.write_batch(batch)
            yield _taken(sink)
        writer.close()
        yield _taken(sink)
    finally:
        found.close()


def _taken(sink: io.BytesIO) -> bytes:
    written = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return written
