"""Costs of stored events put anew: raw rows by one mutation, rollups by the difference, each exactly once.

Sketches cannot be taken back out of a rollup, and costs are in none: they are sums, so a rollup becomes right by adding
what a cost has changed by. The rows of a step, with their old and new costs, are first written down in a table of its
own. From there each statement may be made again: a difference carries a token, and the mutation sets what is to be.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from core.errors import Retryable, SettingsError
from storage.warehouse.client import INSERT_SETTINGS, Warehouse
from storage.warehouse.rollups import LANE_BITS, ONE_BLOCK, ROLLUPS, Rollup, mark

#: Event types that have costs of the hub's own.
PRICED: Final = ("llm.request", "llm.embedding")
#: What is set anew.
COSTS: Final = ("cost_usd", "hub_cost_usd", "cost_source", "price_version")
#: What names a row.
KEY: Final = ("tenant", "id", "received_at", "time")
DIMENSIONS: Final = tuple(sorted(set().union(*(rollup.dimensions for rollup in ROLLUPS))))
#: Columns of a step's rows: the row, its costs before and after, and where the rollups count it.
STAGED: Final = (*KEY, *COSTS, "was_usd", "was_source", *DIMENSIONS, "expires_at")

_STAGE: Final = "repriced"
_LOOKUP: Final = "repriced_lookup"
_MONEY: Final = "Nullable(Decimal(18, 10))"
_TYPES: Final = {
    "id": "UUID",
    "received_at": "DateTime64(6, 'UTC')",
    "time": "DateTime64(6, 'UTC')",
    "cost_usd": _MONEY,
    "hub_cost_usd": _MONEY,
    "was_usd": _MONEY,
    "expires_at": "DateTime",
}
#: Events of one step at most, unless a single hour has more.
STEP_ROWS: Final = 1_000_000

_HOURS: Final = """
SELECT toUnixTimestamp(toStartOfHour(time)) AS hour, toYYYYMM(time) AS month, count()
FROM events WHERE {where} GROUP BY hour, month ORDER BY hour
"""


class Repricing:
    """The statements of pricing anew. Blocking.

    Parameters
    ----------
    warehouse
        Open and migrated; one server, no cluster.

    Raises
    ------
    SettingsError
        The warehouse is a cluster.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        if warehouse.config.cluster:
            raise SettingsError(
                "History on a cluster is not priced anew by the hub yet: it rewrites one server's tables."
            )
        self._warehouse = warehouse

    def reached(self) -> dict[int, int]:
        """Partition → the position up to which every rollup has the events."""
        text = "SELECT DISTINCT intDiv(position, {lane:UInt64}) AS lane FROM events"
        lanes = [int(row[0]) for row in self._warehouse.query(text, {"lane": 1 << LANE_BITS}).rows]
        return {lane: min(int(self._scalar(f"SELECT {mark(one.name, lane)}")) for one in ROLLUPS) for lane in lanes}

    def stored(self) -> dict[int, int]:
        """Partition → the highest position that is stored."""
        text = "SELECT intDiv(position, {lane:UInt64}) AS lane, max(position) FROM events GROUP BY lane"
        return {int(lane): int(high) for lane, high in self._warehouse.query(text, {"lane": 1 << LANE_BITS}).rows}

    def steps(self, which: "Which") -> list[tuple[int, int]]:
        """Ranges of time, [from, to) in epoch seconds, of whole hours of one month, that together hold all events."""
        where, values = which.sql()
        found: list[tuple[int, int]] = []
        rows, month = 0, 0
        for hour, its_month, count in self._warehouse.query(_HOURS.format(where=where), values).rows:
            if found and its_month == month and rows + count <= STEP_ROWS:
                found[-1], rows = (found[-1][0], int(hour) + 3600), rows + count
            else:
                found.append((int(hour), int(hour) + 3600))
                rows, month = count, its_month
        return found

    def begin(self) -> None:
        """An empty table for the rows of a step."""
        columns = ", ".join(f"{name} {_TYPES.get(name, 'String')}" for name in STAGED)
        self._warehouse.command(f"DROP TABLE IF EXISTS {_STAGE} SYNC")
        self._warehouse.command(f"CREATE TABLE {_STAGE} ({columns}) ENGINE = MergeTree ORDER BY (tenant, time)")

    def stage(self, rows: pa.Table) -> None:
        """Write rows of the step down: columns of :data:`STAGED`."""
        self._warehouse.insert(_STAGE, rows)

    def apply(self, token: str, now: datetime) -> None:
        """Bring rollups and raw rows in line with the rows of the step. Safe to repeat, with the same token."""
        if not self._scalar(f"SELECT count() FROM {_STAGE}"):  # noqa: S608 - the hub's own names
            return
        settings: dict[str, str | int | float] = {**INSERT_SETTINGS, **ONE_BLOCK}
        settings["max_execution_time"] = self._warehouse.config.insert_seconds
        for rollup in ROLLUPS:
            since = 0 if rollup.retention is None else int((now - rollup.retention).timestamp())
            settings["insert_deduplication_token"] = f"{token}/{rollup.name}"
            self._warehouse.command(_difference(rollup), {"since": since}, settings=settings)
        self._mutate()

    def end(self) -> None:
        """All steps are done."""
        for table in (_LOOKUP, _STAGE):
            self._warehouse.command(f"DROP TABLE IF EXISTS {table} SYNC")

    def _mutate(self) -> None:
        self._wait_for_others()
        columns = ", ".join(f"{name} {_TYPES.get(name, 'String')}" for name in (*KEY, *COSTS))
        self._warehouse.command(f"DROP TABLE IF EXISTS {_LOOKUP} SYNC")
        self._warehouse.command(f"CREATE TABLE {_LOOKUP} ({columns}) ENGINE = Join(ANY, LEFT, {', '.join(KEY)})")
        copied = ", ".join((*KEY, *COSTS))
        self._warehouse.command(f"INSERT INTO {_LOOKUP} ({copied}) SELECT {copied} FROM {_STAGE}")  # noqa: S608
        key = f"toString(tenant), {', '.join(KEY[1:])}"
        lookup = f"{self._warehouse.database}.{_LOOKUP}"
        sets = ", ".join(f"{name} = joinGet('{lookup}', '{name}', {key})" for name in COSTS)
        staged = f"SELECT {', '.join(KEY)} FROM {self._warehouse.database}.{_STAGE}"  # noqa: S608 - the hub's own names
        between = self._warehouse.query(
            f"SELECT toUnixTimestamp64Micro(min(time)), toUnixTimestamp64Micro(max(time)) FROM {_STAGE}"  # noqa: S608
        ).rows[0]
        span = " AND ".join(
            f"time {sign} fromUnixTimestamp64Micro({int(moment)}, 'UTC')"
            for sign, moment in zip((">=", "<="), between, strict=True)
        )
        self._warehouse.command(
            f"ALTER TABLE events UPDATE {sets} WHERE {span} AND ({key}) IN ({staged})",
            settings={"mutations_sync": 2, "allow_nondeterministic_mutations": 1},
        )

    def _wait_for_others(self) -> None:
        running = "database = {database:String} AND table = 'events' AND NOT is_done"
        text = f"SELECT count() FROM system.mutations WHERE {running}"  # noqa: S608 - own names
        if self._warehouse.query(text, {"database": self._warehouse.database}).scalar():
            raise Retryable("events has a mutation under way; the next one waits for its end.")

    def _scalar(self, sql: str) -> Any:
        return self._warehouse.query(sql).scalar()


class Which:
    """Which events are priced anew.

    Parameters
    ----------
    start, end
        Of [start, end), in epoch seconds.
    tenants, models
        Of these alone; empty for all.
    high
        Partition → the highest position; empty for all that is stored.
    """

    def __init__(
        self,
        start: int,
        end: int,
        tenants: Sequence[str] = (),
        models: Sequence[str] = (),
        high: Mapping[int, int] | None = None,
    ) -> None:
        self.start, self.end = start, end
        self.tenants, self.models, self.high = tuple(tenants), tuple(models), dict(high or {})

    def between(self, start: int, end: int) -> "Which":
        """Of these, the events of a narrower range."""
        return Which(max(start, self.start), min(end, self.end), self.tenants, self.models, self.high)

    def sql(self) -> tuple[str, dict[str, Any]]:
        """A condition on ``events``, and the values bound to it."""
        parts = [
            f"type IN ({', '.join(map(repr, PRICED))})",
            "time >= fromUnixTimestamp64Micro({start:Int64}, 'UTC')",
            "time < fromUnixTimestamp64Micro({end:Int64}, 'UTC')",
        ]
        values: dict[str, Any] = {"start": self.start * 10**6, "end": self.end * 10**6}
        for name, column, wanted in (("tenants", "tenant", self.tenants), ("models", "model", self.models)):
            if wanted:
                parts.append(f"{column} IN {{{name}:Array(String)}}")
                values[name] = list(wanted)
        if self.high:
            lanes = [
                f"position >= {lane << LANE_BITS} AND position <= {high}" for lane, high in sorted(self.high.items())
            ]
            parts.append(f"({' OR '.join(f'({lane})' for lane in lanes)})")
        return " AND ".join(parts), values


def _difference(rollup: Rollup) -> str:
    """INSERT of what a rollup lacks or has too much. Counts are sums of 64 bits: what is taken away wraps around."""
    bucket = f"toDateTime(intDiv(toUnixTimestamp(s.time), {rollup.seconds}) * {rollup.seconds}, 'UTC')"
    dimensions = ("tenant", *sorted(rollup.dimensions))
    columns = {
        "time": bucket,
        **{name: f"s.{name}" for name in dimensions},
        "cost_usd": "sum(toDecimal128(ifNull(s.cost_usd, 0), 10) - toDecimal128(ifNull(s.was_usd, 0), 10))",
        "priced": "reinterpretAsUInt64(sum(toInt64(isNotNull(s.cost_usd)) - toInt64(isNotNull(s.was_usd))))",
        "unpriced": "reinterpretAsUInt64(sum("
        "toInt64(s.cost_source = 'unpriced') - toInt64(s.was_source = 'unpriced')))",
    }
    if rollup.retention is None:
        columns["expires_at"] = "max(s.expires_at)"
    selected = ", ".join(f"{sql} AS {name}_" for name, sql in columns.items())
    groups = ", ".join(f"{name}_" for name in ("time", *dimensions))
    return (
        f"INSERT INTO {rollup.name} ({', '.join(columns)}) "  # noqa: S608 - the hub's own names
        f"SELECT {selected} FROM {_STAGE} AS s WHERE s.time >= fromUnixTimestamp({{since:Int64}}) GROUP BY {groups}"
    )
