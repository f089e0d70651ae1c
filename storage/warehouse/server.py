"""One connection's worth of a ClickHouse server, over HTTP."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from storage.warehouse.hosts import Hosts
from storage.warehouse.rows import Rows
from storage.warehouse.session import ARROW_OUTPUT, Session, Settings, bindable


class ServerSession(Session):
    """A turn at the server's hosts, without a server-side session, so that any replica may answer."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def query(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> Rows:
        values = bindable(parameters)
        result = self._hosts.call("question", lambda client: client.query(sql, values, settings=dict(settings)))
        return Rows(
            columns=tuple(result.column_names),
            types=tuple(kind.name for kind in result.column_types),
            rows=[tuple(row) for row in result.result_rows],
            rows_read=int(result.summary.get("read_rows", 0)),
            elapsed=int(result.summary.get("elapsed_ns", 0)) / 1e9,
        )

    def arrow(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> pa.Table:
        values, output = bindable(parameters), {**ARROW_OUTPUT, **settings}
        body = self._hosts.call(
            "question", lambda client: client.raw_query(sql, values, settings=output, fmt="ArrowStream")
        )
        return pa.ipc.open_stream(pa.BufferReader(body)).read_all()

    def stream(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> Iterator[pa.RecordBatch]:
        values, output = bindable(parameters), {**ARROW_OUTPUT, **settings}
        body = self._hosts.call(
            "question", lambda client: client.raw_stream(sql, values, settings=output, fmt="ArrowStream")
        )
        with body as source, pa.ipc.open_stream(source) as reader:
            yield from reader

    def command(self, sql: str, parameters: Mapping[str, Any], settings: Settings) -> None:
        values = bindable(parameters)
        self._hosts.call("work", lambda client: client.command(sql, values, settings=dict(settings)))

    def insert(self, table: str, columns: Sequence[str], body: pa.Buffer, settings: Settings) -> None:
        block, values = body.to_pybytes(), dict(settings)
        self._hosts.call("work", lambda client: client.raw_insert(table, columns, block, values, fmt="ArrowStream"))

    def close(self) -> None:
        """Nothing to do: the connections are the hosts'."""
