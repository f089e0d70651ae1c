"""The hosts of a server: one of them is asked, until it does not answer."""

import logging
import math
import random
import threading
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

from core.errors import SettingsError
from storage.warehouse.address import Host, Server
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.failures import without_answer

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
#: Questions are given up sooner than inserts and statements.
Kind = Literal["question", "work"]
_KINDS: Final[tuple[Kind, ...]] = ("question", "work")

#: What every request carries. Times without a zone are UTC whatever the server's own is, and a statement sees one
#: snapshot of each table: the marks of the rollups rely on that.
_ALWAYS: Final[dict[str, str | int]] = {"session_timezone": "UTC", "enable_shared_storage_snapshot_in_query": 1}
#: And those to a whole cluster: every statement reads the same replicas, so that marks and rollups are of one mind; a
#: shard that is away is an error, never a smaller answer; a subquery is about all shards; an insert is done when the
#: shard has it.
_OF_CLUSTERS: Final[dict[str, str | int]] = {
    "load_balancing": "in_order",
    "prefer_localhost_replica": 0,
    "skip_unavailable_shards": 0,
    "distributed_product_mode": "global",
    "distributed_foreground_insert": 1,
}


class Hosts:
    """Clients of clickhouse-connect, one a host and kind of work; safe to share between threads.

    Each host has one pool of kept connections, as large as there are sessions.

    Parameters
    ----------
    server, config
        Whom to ask, and how long to wait.
    left
        Called when a host is left for the next.
    """

    def __init__(self, server: Server, config: WarehouseConfig, left: Callable[[], None]) -> None:
        self._server, self._config, self._left = server, config, left
        self._clients: dict[tuple[Host, Kind], Any] = {}
        self._pools: dict[Host, Any] = {}
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        # not all processes of a hub ask the same host first
        self._at = random.randrange(len(server.hosts))  # noqa: S311 - spreads load, keeps no secret

    def call(self, kind: Kind, ask: Callable[[Any], Answer]) -> Answer:
        """What ``ask`` gets from the client of the host whose turn it is; a host without an answer loses its turn."""
        with self._lock:
            at = self._at
        try:
            return ask(self._client(self._server.hosts[at], kind))
        except Exception as error:
            if without_answer(error):
                self._leave(at)
            raise

    def close(self) -> None:
        """Close every connection; :meth:`call` opens them again."""
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
            pools, self._pools = list(self._pools.values()), {}
        for client in clients:
            client.close()
        for pool in pools:
            pool.clear()

    def _leave(self, at: int) -> None:
        with self._lock:
            if self._at != at or len(self._server.hosts) == 1:
                return
            self._at = (at + 1) % len(self._server.hosts)
            host = self._server.hosts[self._at]
            for kind in _KINDS:  # it may be behind: whoever comes back is met anew
                self._clients.pop((host, kind), None)
        logger.warning("a host of the warehouse does not answer; the next is %s:%s", host.name, host.port)
        self._left()

    def _client(self, host: Host, kind: Kind) -> Any:
        with self._lock:
            client = self._clients.get((host, kind))
        if client is not None:
            return client
        with self._connecting:
            if (client := self._clients.get((host, kind))) is None:
                client = self._connect(host, kind)
                with self._lock:
                    self._clients[host, kind] = client
        return client

    def _connect(self, host: Host, kind: Kind) -> Any:
        import clickhouse_connect

        server, config = self._server, self._config
        client = clickhouse_connect.get_client(
            interface="https" if server.secure else "http",
            host=host.name,
            port=host.port,
            username=server.user,
            password=server.password,
            connect_timeout=math.ceil(config.connect_seconds),
            send_receive_timeout=math.ceil(config.read_seconds if kind == "question" else config.insert_seconds),
            # the hub tries again itself, and says so in its metrics
            query_retries=0,
            tz_mode="aware",
            autogenerate_session_id=False,
            show_clickhouse_errors="scrub",
            pool_mgr=self._pool(host),
        )
        missing = sorted(name for name in _ALWAYS if name not in client.server_settings)
        if missing:
            raise SettingsError(
                f"The ClickHouse server (version {client.server_version}) does not know {missing[0]}: upgrade it to "
                "25.8 or newer."
            )
        for name, value in (_ALWAYS | (_OF_CLUSTERS if config.cluster else {})).items():
            client.set_client_setting(name, value)
        self._use(client)
        return client

    def _use(self, client: Any) -> None:
        """Make the database where it is missing (not everybody may, so not without need), and wait for a replica."""
        database = self._server.database
        if not client.command("SELECT count() FROM system.databases WHERE name = {d:String}", {"d": database}):
            cluster = f" ON CLUSTER '{self._config.cluster}'" if self._config.cluster else ""
            client.command(f"CREATE DATABASE IF NOT EXISTS `{database}`{cluster}")
        client.database = database
        for table in self._config.in_step:
            client.command(f"SYSTEM SYNC REPLICA `{table}` LIGHTWEIGHT")

    def _pool(self, host: Host) -> Any:
        from clickhouse_connect.driver.httputil import get_pool_manager

        with self._lock:
            if host not in self._pools:
                trust: dict[str, Any] = {"ca_cert": self._server.ca or None, "verify": self._server.verify}
                self._pools[host] = get_pool_manager(maxsize=self._config.connections, **trust)
            return self._pools[host]
