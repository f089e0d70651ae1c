"""One connection to a ClickHouse server, over HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from storage.warehouse.address import Server
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.rows import Rows
from storage.warehouse.session import ARROW_OUTPUT, Session, Settings, bindable


class ServerSession(Session):
    """One HTTP client of clickhouse-connect, without a server-side session, so that any replica may answer."""

    def __init__(self, server: Server, config: WarehouseConfig) -> None:
        import clickhouse_connect

        self._client = clickhouse_connect.get_client(
            interface="https" if server.secure else "http",
            host=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            connect_timeout=10,
            send_receive_timeout=int(config.insert_seconds),
            tz_mode="aware",
            autogenerate_session_id=False,
            dedicated_pool=True,
        )
        if server.database != "default":
            self._client.command(f"CREATE DATABASE IF NOT EXISTS `{server.database}`")
        self._client.database = server.database

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
        body = self._client.raw_query(
            sql, parameters=bindable(parameters), settings={**ARROW_OUTPUT, **settings}, fmt="ArrowStream"
        )
        return pa.ipc.open_stream(pa.BufferReader(body)).read_all()

    def stream(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> Iterator[pa.RecordBatch]:
        body = self._client.raw_stream(
            sql, parameters=bindable(parameters), settings={**ARROW_OUTPUT, **settings}, fmt="ArrowStream"
        )
        with body as source, pa.ipc.open_stream(source) as reader:
            yield from reader

    def command(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> None:
        self._client.command(sql, parameters=bindable(parameters), settings=dict(settings))

    def insert(self, table: str, columns: Sequence[str], body: pa.Buffer, settings: Settings) -> None:
        self._client.raw_insert(
            table, column_names=columns, insert_block=body.to_pybytes(), settings=dict(settings), fmt="ArrowStream"
        )

    def close(self) -> None:
        self._client.close()
