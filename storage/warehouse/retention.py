"""What leaves the warehouse: rows that a tenant's retention no longer covers, and all rows of a tenant that is gone."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final, Literal

from core.errors import Retryable
from storage.warehouse.client import Warehouse
from storage.warehouse.cluster import local, local_database
from storage.warehouse.rollups import ROLLUPS

#: Tables whose rows carry ``expires_at`` → the width of a row in seconds: ``time`` is where it begins.
EXPIRING: Final[Mapping[str, int]] = {
    "events": 1,
    "payloads": 1,
    **{rollup.name: rollup.seconds for rollup in ROLLUPS if rollup.retention is None},
}

#: Every table with rows of tenants → which of a tenant's retentions it follows. Rollups by user know persons, as events
#: do, and go with them; the others are sums.
FOLLOWS: Final[Mapping[str, Literal["events", "payloads", "rollups"]]] = {
    "events": "events",
    "payloads": "payloads",
    **{rollup.name: "events" if rollup.retention is None else "rollups" for rollup in ROLLUPS},
}

#: Every table with rows of tenants.
TENANT_TABLES: Final = tuple(FOLLOWS)

#: A mutation is over when its statement is.
_DONE: Final = {"mutations_sync": 2}
#: The warehouse's ``DateTime`` ends in 2106.
_END: Final = 2**32 - 1
_DAY: Final = 86_400
#: Tenants of one statement: their names stand in its text.
_AT_ONCE: Final = 200


class Retention:
    """Deletes rows and changes how long they are kept. Blocking; statements return when the engine has done them.

    Each statement is a mutation, which writes whole parts anew: it is sent only where a question finds rows for it,
    for all tenants of a table together, and never while another one of the table is under way. Rows of no tenant, the
    marks of the rollups, are never touched.

    Parameters
    ----------
    warehouse
        An open, migrated warehouse; its clock says what is too old.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def enforce(self, table: str, keep: Mapping[str, timedelta]) -> int:
        """Bring a table in line with what tenants keep now.

        In a table of :data:`EXPIRING`, rows that are too old are deleted and all others get the expiry that they would
        have been stored with. In the other rollups, whole days (UTC) that are too old are deleted: with every hour by
        itself, a table would be written anew every hour.

        Parameters
        ----------
        table
            One of :data:`TENANT_TABLES`.
        keep
            Tenant → how long its rows are kept.

        Returns
        -------
        int
            Tenants that had rows to change; 0 when nothing was sent.

        Raises
        ------
        core.errors.Retryable
            The engine does not answer or has a mutation of the table under way. Call again later.
        """
        _check(table, keep)
        return sum(self._enforce(table, {tenant: keep[tenant] for tenant in part}) for part in _parts(list(keep)))

    def erase(self, tenants: Sequence[str]) -> dict[str, int]:
        """Delete everything of tenants, rollups included.

        Returns
        -------
        dict
            Tenant → rows that were found of it; those that had none are not in it.

        Raises
        ------
        core.errors.Retryable
            As :meth:`enforce`; what was deleted stays deleted.
        """
        rows: Counter[str] = Counter()
        for table in TENANT_TABLES:
            _check(table, tenants)
            for part in _parts(tenants):
                rows.update(self._erase(table, part))
        return dict(rows)

    def _erase(self, table: str, tenants: Sequence[str]) -> dict[str, int]:
        text = f"SELECT tenant, count() FROM {table} WHERE tenant IN {{tenants:Array(String)}} GROUP BY tenant"  # noqa: S608 - own names
        found = {
            str(tenant): int(rows) for tenant, rows in self._warehouse.query(text, {"tenants": list(tenants)}).rows
        }
        if found:
            self._mutate(table, f"DELETE WHERE tenant IN ({', '.join(map(_text, found))})")
        return found

    def _enforce(self, table: str, keep: Mapping[str, timedelta]) -> int:
        now = int(self._warehouse.clock.now().timestamp())
        seconds = {tenant: int(kept.total_seconds()) for tenant, kept in keep.items()}
        if table not in EXPIRING:
            seconds = {tenant: (now - kept) // _DAY * _DAY for tenant, kept in seconds.items()}
        wrong = _wrong(
            table, "transform(toString(tenant), {tenants:Array(String)}, {seconds:Array(Int64)}, toInt64(0))"
        )
        text = f"SELECT DISTINCT tenant FROM {table} WHERE tenant IN {{tenants:Array(String)}} AND ({wrong})"  # noqa: S608 - own names
        parameters = {"tenants": list(seconds), "seconds": list(seconds.values())}
        found = [str(row[0]) for row in self._warehouse.query(text, parameters).rows]
        if found:
            self._mutate(table, _change(table, {tenant: seconds[tenant] for tenant in found}, now))
        return len(found)

    def _mutate(self, table: str, commands: str) -> None:
        cluster = self._warehouse.config.cluster
        mutations = f"cluster('{cluster}', system.mutations)" if cluster else "system.mutations"
        running = "database = {database:String} AND table = {table:String} AND NOT is_done"
        text = f"SELECT count() FROM {mutations} WHERE {running}"  # noqa: S608 - own names
        if self._warehouse.query(text, {"database": local_database(self._warehouse), "table": table}).scalar():
            raise Retryable(f"{table} has a mutation under way; the next one waits for its end.")
        # Mutations take no server-side parameters: tenants are quoted here, all else is a number.
        if not cluster:
            self._warehouse.command(f"ALTER TABLE {table} {commands}", settings=_DONE)
            return
        with local(self._warehouse) as tables:
            tables.command(f"ALTER TABLE {table} ON CLUSTER '{cluster}' {commands}", settings=_DONE)


def _change(table: str, seconds: Mapping[str, int], now: int) -> str:
    """The commands of one mutation."""
    tenants = ", ".join(map(_text, seconds))
    of_tenant = f"transform(toString(tenant), [{tenants}], [{', '.join(map(str, seconds.values()))}], toInt64(0))"
    rows = f"tenant IN ({tenants}) AND ({_wrong(table, of_tenant)})"
    if table not in EXPIRING:
        return f"DELETE WHERE {rows}"
    expiry = _expiry(of_tenant, EXPIRING[table] - 1)
    old = f"tenant IN ({tenants}) AND toUnixTimestamp({expiry}) <= {now}"
    return f"DELETE WHERE {old}, UPDATE expires_at = {expiry} WHERE {rows}"


def _wrong(table: str, seconds: str) -> str:
    """Condition on rows that are not as they should be.

    ``seconds`` is SQL: for how long a tenant's rows are kept, or the moment before which they have to go.
    """
    if table not in EXPIRING:
        return f"toUnixTimestamp(time) < {seconds}"
    # A rollup's row expires with the last of its events: anywhere in its width is right.
    return f"expires_at < {_expiry(seconds, 0)} OR expires_at > {_expiry(seconds, EXPIRING[table] - 1)}"


def _expiry(seconds: str, later: int) -> str:
    return f"toDateTime(least(toUnixTimestamp(time) + {seconds} + {later}, {_END}))"


def _parts(tenants: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(tenants), _AT_ONCE):
        yield tenants[first : first + _AT_ONCE]


def _check(table: str, tenants: Iterable[str]) -> None:
    if table not in FOLLOWS:
        raise ValueError(f"no table of tenants is called {table}")
    if "" in tenants:
        raise ValueError("rows of no tenant are the marks of the rollups, and stay")


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
