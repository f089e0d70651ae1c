"""Runs migrations forward and backward, and remembers which are there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from core.errors import SettingsError
from storage.warehouse.client import Warehouse
from storage.warehouse.cluster import layout, local
from storage.warehouse.migrations.migration import Migration, above, render

#: A log of what was done; the newest line of a number says whether it is applied.
VERSIONS: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations $on_cluster
(
    number UInt32,
    name String,
    applied Bool,
    at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = $everywhere
ORDER BY (number, at)
"""

_APPLIED: Final = "SELECT number FROM schema_migrations GROUP BY number HAVING argMax(applied, at) ORDER BY number"
_MARK: Final = (
    "INSERT INTO schema_migrations (number, name, applied) VALUES ({number:UInt32}, {name:String}, {applied:Bool})"
)


#: A replica that is away does a statement when it is back: nobody waits for it.
_DDL: Final = {"distributed_ddl_output_mode": "none_only_active"}


@dataclass(frozen=True, slots=True)
class State:
    """Numbers of the migrations that are applied, and of those that are still to come."""

    applied: tuple[int, ...]
    pending: tuple[int, ...]


class Migrator:
    """Brings a warehouse to any version.

    Parameters
    ----------
    warehouse
        An open warehouse; ``config.cluster`` decides between plain tables, and replicated ones with Distributed tables
        above them.
    migrations
        All there are, by number.
    """

    def __init__(self, warehouse: Warehouse, migrations: Sequence[Migration]) -> None:
        self._warehouse = warehouse
        self._cluster = warehouse.config.cluster
        self._tables = local(warehouse) if self._cluster else warehouse
        self._migrations = sorted(migrations, key=lambda step: step.number)

    def state(self) -> State:
        """What is there and what is missing.

        Raises
        ------
        SettingsError
            When the warehouse was migrated by a newer hub.
        """
        self._run(VERSIONS)
        applied = tuple(int(row[0]) for row in self._tables.query(_APPLIED).rows)
        known = [step.number for step in self._migrations]
        if unknown := sorted(set(applied) - set(known)):
            raise SettingsError(f"The warehouse has migration {unknown[-1]} of a newer hub: upgrade this one.")
        return State(applied, tuple(number for number in known if number not in applied))

    def migrate(self, target: int | None = None) -> list[int]:
        """Go to version ``target`` (the newest without one), forward or backward.

        Returns
        -------
        list of int
            Numbers that were applied, or taken back, in order. Empty when there was nothing to do.
        """
        goal = self._migrations[-1].number if target is None else target
        state = self.state()
        forward = [step for step in self._migrations if step.number <= goal and step.number in state.pending]
        backward = [step for step in reversed(self._migrations) if step.number > goal and step.number in state.applied]
        for step in backward:
            self._step(step, step.backward, applied=False)
        for step in forward:
            self._step(step, step.forward, applied=True)
        return [step.number for step in (*backward, *forward)]

    def _step(self, step: Migration, statements: Sequence[str], *, applied: bool) -> None:
        for statement in statements:
            self._run(statement)
            if self._cluster:
                self._run_above(statement)
        self._tables.command(_MARK, {"number": step.number, "name": step.name, "applied": applied})

    def _run(self, statement: str) -> None:
        self._tables.command(render(statement, self._cluster), settings=_DDL if self._cluster else None)

    def _run_above(self, statement: str) -> None:
        shard = layout(self._warehouse)[0]
        database = self._tables.database
        text = above(statement, self._cluster, database, "" if shard.database else database)
        if text is not None:
            self._warehouse.command(text, settings=_DDL)

    def close(self) -> None:
        """Close what was opened beside the warehouse."""
        if self._tables is not self._warehouse:
            self._tables.close()
