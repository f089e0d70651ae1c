"""The warehouse: one class over the embedded engine and a ClickHouse server."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import pyarrow as pa

from core.clock import Clock, SystemClock
from core.errors import HubError, SettingsError
from core.metrics import Metrics
from storage.warehouse.address import Folder, Server, parse_address
from storage.warehouse.blocks import ipc_block
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.failures import Work, failure
from storage.warehouse.hosts import Hosts
from storage.warehouse.patience import LEVELS, Patience, State
from storage.warehouse.pool import SessionPool
from storage.warehouse.rows import Rows
from storage.warehouse.session import Session, Settings

Answer = TypeVar("Answer")

#: What every insert carries: one block stays one block, and a block that comes again is dropped.
INSERT_SETTINGS: Final[dict[str, int]] = {
    "insert_deduplicate": 1,
    "max_partitions_per_insert_block": 0,
    "max_insert_block_size": 10_000_000,
    "min_insert_block_size_rows": 10_000_000,
    "min_insert_block_size_bytes": 0,
    "max_insert_threads": 1,
    "optimize_on_insert": 1,
    # Merges build the bloom filters: a fresh part is small enough to be read without them.
    "materialize_skip_indexes_on_insert": 0,
}


class Warehouse:
    """Questions, statements and inserts. Blocking and safe to share between threads.

    Parameters
    ----------
    url
        See :func:`storage.warehouse.address.parse_address`; or an address that was read already.
    config
        Limits and sizes.
    clock
        For whoever decides by time.
    metrics
        Where work and connections are counted.

    Raises
    ------
    core.errors.SettingsError
        For a wrong URL (here), and for a folder that another process holds (from :meth:`open`).

    Notes
    -----
    Values reach the engine as server-side parameters only: ``{name:Type}`` in the text, ``parameters={"name": …}``.
    ``Retryable`` means the same call will do later; ``Poison`` (inserts only) that this block never will.
    """

    def __init__(
        self,
        url: str | Folder | Server,
        config: WarehouseConfig | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.address = parse_address(url) if isinstance(url, str) else url
        self.config = config or WarehouseConfig()
        self.clock: Clock = clock or SystemClock()
        self._metrics = metrics or Metrics()
        self._hosts: Hosts | None = None
        self._patience: Patience | None = None
        if self.config.cluster and not isinstance(self.address, Server):
            raise SettingsError(
                "warehouse_cluster needs a warehouse URL of the form clickhouse://… (or clickhouses://…)."
            )
        if isinstance(self.address, Server):
            self._hosts = Hosts(self.address, self.config, self._metrics.warehouse_failovers.inc)
            self._patience = Patience(self.config, self.clock)
        self._metrics.warehouse_breaker.set_function(lambda: LEVELS[self.breaker])
        self._pool = self._new_pool()
        self._metrics.warehouse_connections.labels("in_use").set_function(lambda: self._pool.in_use)
        self._metrics.warehouse_connections.labels("idle").set_function(lambda: self._pool.idle)
        self._metrics.warehouse_connections_limit.set(self.config.connections)

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return isinstance(self.address, Folder)

    @property
    def database(self) -> str:
        """The database that holds the tables."""
        return self.address.database

    @property
    def breaker(self) -> State:
        """Whether a server answers, as far as is known; the engine in this process always does."""
        return self._patience.breaker.state if self._patience else "closed"

    def open(self) -> None:
        """Connect, so that a wrong setting stops the start and not the first question."""
        self._do("open", lambda session: session.command("SELECT 1", {}, {}), again=True)

    def close(self) -> None:
        """Wait for what is under way, then close every connection; :meth:`open` may follow."""
        self._pool.close()
        if self._hosts:
            self._hosts.close()
        self._pool = self._new_pool()

    def query(self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Settings | None = None) -> Rows:
        """Ask, and hold the whole answer as Python values."""
        bound, limits = _checked(sql, parameters), self._limits(settings)
        return self._do("query", lambda session: session.query(sql, bound, limits), again=True)

    def query_arrow(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Settings | None = None
    ) -> pa.Table:
        """Ask, and hold the whole answer as an Arrow table."""
        bound, limits = _checked(sql, parameters), self._limits(settings)
        return self._do("query", lambda session: session.arrow(sql, bound, limits), again=True)

    def arrow_stream(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Settings | None = None
    ) -> Generator[pa.RecordBatch]:
        """Ask, and take the answer batch by batch in constant memory; close the generator to stop early.

        The answer may have any number of rows and takes a connection until it ends.
        """
        bound = _checked(sql, parameters)
        limits = self._limits({"max_result_rows": 0, "max_execution_time": 0, **(settings or {})})
        with self._guarded(), self._session("query") as session:
            yield from session.stream(sql, bound, limits)

    def command(
        self, sql: str, parameters: Mapping[str, Any] | None = None, *, settings: Settings | None = None
    ) -> None:
        """Run a statement that has no answer. With a token among the settings it may be tried again."""
        bound, given = _checked(sql, parameters), settings or {}
        again = bool(given.get("insert_deduplication_token"))
        self._do("command", lambda session: session.command(sql, bound, given), again=again)

    def insert(self, table: str, rows: pa.Table, token: str = "", settings: Settings | None = None) -> None:
        """Append rows to a table, naming only the columns present; all others take their defaults.

        Parameters
        ----------
        table
            Name of the table.
        rows
            One block; it is inserted whole or, after an error, perhaps not at all.
        token
            Names the block. A block with a token that the table has seen is dropped, whatever its rows are: so an
            insert whose answer was lost is sent once more.
        """
        if not rows.num_rows:
            return
        body = ipc_block(rows)
        limits: dict[str, str | int | float] = {**INSERT_SETTINGS, "max_execution_time": self.config.insert_seconds}
        if token:
            limits["insert_deduplication_token"] = token
        limits |= settings or {}
        self._do("insert", lambda session: session.insert(table, rows.column_names, body, limits), again=bool(token))

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _limits(self, settings: Settings | None) -> dict[str, str | int | float]:
        return {
            "max_execution_time": self.config.query_seconds,
            "max_memory_usage": self.config.query_memory_bytes,
            "max_result_rows": self.config.result_rows,
            "max_threads": self.config.threads,
            **(settings or {}),
        }

    def _do(self, work: Work, call: Callable[[Session], Answer], *, again: bool) -> Answer:
        """One piece of work; ``again``: a server that did not answer may be asked once more."""

        def once() -> Answer:
            with self._session(work) as session:
                return call(session)

        if self._patience is None:
            return once()
        return self._patience.run(once, again=again, retried=self._metrics.warehouse_retries.labels(work).inc)

    @contextmanager
    def _session(self, work: Work) -> Iterator[Session]:
        """A session whose errors are the hub's, and whose work is counted."""
        try:
            with self._pool.session() as session, self._metrics.warehouse_seconds.labels(work).time():
                yield session
        except (GeneratorExit, KeyboardInterrupt):
            raise
        except Exception as error:
            told = error if isinstance(error, HubError) else failure(error, work)
            self._metrics.warehouse_failures.labels(work, type(told).__name__).inc()
            if told is error:
                raise
            raise told from error

    def _guarded(self) -> AbstractContextManager[None]:
        return self._patience.breaker.call() if self._patience else nullcontext()

    def _new_pool(self) -> SessionPool:
        return SessionPool(self._connect, self.config.connections, self.config.wait_seconds)

    def _connect(self) -> Session:
        from storage.warehouse.embedded import EmbeddedSession
        from storage.warehouse.server import ServerSession

        if self._hosts:
            return ServerSession(self._hosts)
        assert isinstance(self.address, Folder)
        try:
            return EmbeddedSession(self.address, self.config)
        except Exception as error:
            raise failure(error, "open") from error


def _checked(sql: str, parameters: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Every parameter must be bound by the server: the client would write any other into the text."""
    for name in parameters or {}:
        if f"{{{name}:" not in sql:
            raise ValueError(f"parameter {name!r} is not in the text as {{{name}:Type}}")
    return parameters or {}
