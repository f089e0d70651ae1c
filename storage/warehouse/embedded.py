"""The engine in this process (chDB): opening it tuned, and one connection to it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from storage.warehouse.address import Folder
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.rows import Rows
from storage.warehouse.session import ARROW_OUTPUT, Session, Settings, bindable

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

#: Bytes of a batch that an export holds at a time.
STREAM_ROWS: Final = 65_536


def engine_options(config: WarehouseConfig) -> dict[str, str]:
    """Server settings of the embedded engine. It keeps no system log tables; the rest is sized for a small machine."""
    return {
        "max_server_memory_usage": str(config.memory_bytes),
        "background_pool_size": str(config.background_threads),
        "background_common_pool_size": "2",
        "background_schedule_pool_size": "4",
        # Merges can wait, whoever asks cannot.
        "os_threads_nice_value_merge_mutate": "10",
        "mark_cache_size": str(config.mark_cache_bytes),
        "index_mark_cache_size": str(config.mark_cache_bytes // 4),
        "max_threads": str(config.threads),
    }


class EmbeddedSession(Session):
    """One client of clickhouse-connect over chDB, and a bare chDB connection beside it for Arrow streams.

    The bare connection is there because clickhouse-connect materialises Arrow answers of chDB and sends inserts through
    a temporary file; both share the one engine of the process.
    """

    def __init__(self, folder: Folder, config: WarehouseConfig) -> None:
        import chdb
        import clickhouse_connect

        folder.path.mkdir(parents=True, exist_ok=True)
        options = engine_options(config)
        self._client = clickhouse_connect.get_client(
            interface="chdb",
            path=str(folder.path),
            chdb_options=options,
            tz_mode="aware",
        )
        self._client.command(f"CREATE DATABASE IF NOT EXISTS `{folder.database}`")
        self._client.database = folder.database
        spelt = "&".join(f"{name}={value}" for name, value in options.items())
        # Whether chDB counts as typed depends on what else is installed; it is not relied upon.
        engine: Any = chdb
        self._connection: Any = engine.connect(f"{folder.path.resolve()}?{spelt}")
        self._connection.query(f"USE `{folder.database}`")

    def query(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> Rows:
        result = self._client.query(sql, parameters=bindable(parameters), settings=dict(settings))
        return Rows(
            columns=tuple(result.column_names),
            types=tuple(kind.name for kind in result.column_types),
            rows=[tuple(row) for row in result.result_rows],
            rows_read=int(result.summary.get("read_rows", 0)),
            elapsed=int(result.summary.get("elapsed_ns", 0)) / 1e9,
        )

    def arrow(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> pa.Table:
        text, bound = self._bound(sql, parameters, {**ARROW_OUTPUT, **settings})
        body = self._connection.query(text, "ArrowStream", params=bound).bytes()
        return pa.ipc.open_stream(pa.BufferReader(body)).read_all()

    def stream(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> Iterator[pa.RecordBatch]:
        text, bound = self._bound(sql, parameters, {**ARROW_OUTPUT, **settings})
        result = self._connection.send_query(text, "Arrow", params=bound)
        try:
            yield from result.record_batch(STREAM_ROWS)
        finally:
            result.close()

    def command(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> None:
        self._client.command(sql, parameters=bindable(parameters), settings=dict(settings))

    def insert(self, table: str, columns: Sequence[str], body: pa.Buffer, settings: Settings) -> None:
        names = ", ".join(f"`{name}`" for name in columns)
        with self._connection.send_insert(f"INSERT INTO {table} ({names}){_clause(settings)}", "ArrowStream") as sink:
            sink.append(body.to_pybytes())
            sink.finish()

    def close(self) -> None:
        self._connection.close()
        self._client.close()

    def _bound(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> tuple[str, dict[str, str]]:
        from clickhouse_connect.driver.binding import bind_query

        bound_text, bound = bind_query(sql, bindable(parameters))
        text = bound_text.decode() if isinstance(bound_text, bytes) else bound_text
        return f"{text}{_clause(settings)}", {name.removeprefix("param_"): value for name, value in bound.items()}


def _clause(settings: Settings) -> str:
    """A SETTINGS clause; names are checked, values quoted."""
    if not settings:
        return ""
    for name in settings:
        if not _PLAIN.fullmatch(name):
            raise ValueError(f"no setting can be called {name!r}")
    return "\n SETTINGS " + ", ".join(f"{name} = {_quoted(value)}" for name, value in settings.items())


def _quoted(value: str | float) -> str:
    escaped = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
