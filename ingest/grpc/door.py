"""The three services of OTLP over gRPC, in front of the same intake and decoders as OTLP over HTTP.

Messages are not read by gRPC: their bytes go to the decoders. For that the methods are registered as streams of the
client's, which on the wire is the same as one message: so the credential is looked at before a message is read.
Messages come compressed too, so that the limits on what comes out are the intake's.
"""

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc

from access.principal import Principal
from access.service import Access
from access.web import MISSING, require, secret_of
from core.errors import BadRequest, HubError, SettingsError, Unauthenticated
from ingest.body import once
from ingest.doors.otlp_receiving import LOGS, METRICS, TRACES, Reader, Signal
from ingest.grpc.status import status_of
from ingest.intake import Delivery, Intake
from ingest.otlp.answer import as_protobuf, mistake

#: Service → its signal; each has the one method ``Export``.
SERVICES: Final = {
    "opentelemetry.proto.collector.trace.v1.TraceService": TRACES,
    "opentelemetry.proto.collector.logs.v1.LogsService": LOGS,
    "opentelemetry.proto.collector.metrics.v1.MetricsService": METRICS,
}
#: No message of OTLP begins so: it would be a field of a kind that there is not.
_GZIP: Final = b"\x1f\x8b"
_IDENTITY_AND_GZIP: Final = 0b101
#: Calls of one connection at a time; further ones wait with their sender.
_MOST_CALLS: Final = 100

_SENDER: Final = require("ingest")

logger = logging.getLogger("llm_hub.ingest")


@dataclass(frozen=True, slots=True)
class GrpcConfig:
    """Where to listen.

    Parameters
    ----------
    host, port
        The address; port 0 takes a free one.
    required
        Whether an address that is taken stops the start; otherwise the door stays closed and says so.
    grace_s
        How long open calls may go on at the end.
    """

    host: str = "127.0.0.1"
    port: int = 4317
    required: bool = False
    grace_s: float = 5.0


@dataclass(frozen=True, slots=True)
class DoorHealth:
    """Whether the door is open, and where; a closed one does not make the hub unready."""

    state: str
    detail: str
    ok: bool = True


class GrpcDoor:
    """Serves the three export services on the running loop.

    Parameters
    ----------
    config
        Where.
    intake, access
        Who takes events in, and who knows whom.
    admit
        Raises :class:`core.errors.SlowDown` when there is no room for more.
    """

    def __init__(
        self, config: GrpcConfig, intake: Intake, access: Access, admit: Callable[[], None] = lambda: None
    ) -> None:
        self._config = config
        self._intake = intake
        self._access = access
        self._admit = admit
        self._server: Any = None
        self._health = DoorHealth("closed", "not started")

    async def start(self) -> None:
        """Open the door.

        Raises
        ------
        SettingsError
            The address is taken and the door is required.
        """
        address = _address(self._config.host, self._config.port)
        server = grpc.aio.server(options=self._options())
        server.add_generic_rpc_handlers(
            tuple(
                grpc.method_handlers_generic_handler(
                    service, {"Export": grpc.stream_unary_rpc_method_handler(self._exporter(service, signal))}
                )
                for service, signal in SERVICES.items()
            )
        )
        try:
            _look(self._config.host, self._config.port)
            port = server.add_insecure_port(address)
        except (OSError, RuntimeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it was taken just now"
            self._refused(f"OTLP over gRPC cannot listen on {address} ({reason}): choose another otlp_grpc_port")
            return
        await server.start()
        self._server = server
        self._health = DoorHealth("running", _address(self._config.host, port))
        logger.info("OTLP over gRPC is open at %s", self._health.detail)

    async def stop(self) -> None:
        """Take no more calls, and wait for the open ones. Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            self._health = DoorHealth("closed", "stopped")
            await server.stop(self._config.grace_s)

    def check(self) -> DoorHealth:
        """Whether the door is open, and where."""
        return self._health

    def _refused(self, reason: str) -> None:
        if self._config.required:
            raise SettingsError(reason)
        logger.warning("%s", reason)
        self._health = DoorHealth("closed", reason)

    def _options(self) -> Sequence[tuple[str, int]]:
        return [
            ("grpc.so_reuseport", 0),  # two hubs would share the port by chance
            ("grpc.max_receive_message_length", self._intake.limits.body_bytes),
            ("grpc.per_message_decompression", 0),
            ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_AND_GZIP),
            ("grpc.max_concurrent_streams", _MOST_CALLS),
            # Collectors ping what is quiet more often than gRPC's own five minutes.
            ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
            ("grpc.keepalive_permit_without_calls", 1),
        ]

    def _exporter(self, service: str, signal: Signal) -> Callable[[Any, Any], Awaitable[bytes]]:
        async def export(_: Any, context: Any) -> bytes:
            try:
                return await self._take(signal, context)
            except HubError as error:
                told = error
            except Exception:
                told = mistake(f"{service}/Export")
            return bytes(await context.abort(*status_of(told)))

        return export

    async def _take(self, signal: Signal, context: Any) -> bytes:
        principal = await self._authenticate(context.invocation_metadata() or ())
        self._admit()
        message = await context.read()
        if message is grpc.aio.EOF:
            raise BadRequest("the call ended without a message; send an export request")
        delivery = Delivery(
            tenant=principal.tenant,
            door=f"{signal.door}_grpc",
            stream=once(message),
            encoding="gzip" if message.startswith(_GZIP) else "",
            key=None,
            decoder=Reader(signal, plain=False, project=None),
            admit=lambda rows: self._access.limits.take_events(principal, rows),
        )
        return as_protobuf(await self._intake.take(delivery), signal.items)

    async def _authenticate(self, metadata: Sequence[tuple[str, str | bytes]]) -> Principal:
        def sent(wanted: str) -> list[str]:
            return [value for name, value in metadata if name == wanted and isinstance(value, str)]

        secret = secret_of(sent("authorization"), sent("x-api-key"))
        if secret is None:
            raise Unauthenticated(MISSING)
        principal = await self._access.authenticate(secret)
        _SENDER.admit(principal, self._access)
        return principal


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _look(host: str, port: int) -> None:
    """Raise ``OSError`` where the address is taken: gRPC itself would not say why."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
