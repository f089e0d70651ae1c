"""A cluster: each shard as a warehouse of its own, and above them tables that show all shards.

Two databases hold tables of the same names. In the one of the URL they are Distributed: whoever asks reads there, and
its SQL is that of a single server. In the other, called ``<database>_local``, are the tables that hold the rows. A
partition of the log belongs to one shard, its events, payloads and rollups alike, so storing a block and folding it are
what they are on a single server: the same statements, tokens and marks, sent to a replica of that shard.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from core.errors import SettingsError
from storage.warehouse.address import Host, Server
from storage.warehouse.client import Warehouse
from storage.warehouse.rollups import LANE_BITS, ROLLUPS

#: What a replica must have of its shard before a worker goes on with it: positions are read from the events, and how
#: far a rollup is from the rollup.
IN_STEP: Final = ("events", *(rollup.name for rollup in ROLLUPS))

_LAYOUT: Final = """
SELECT shard_num, host_name, default_database FROM system.clusters
WHERE cluster = {cluster:String} ORDER BY shard_num, replica_num
"""
_ELSEWHERE: Final = """
SELECT DISTINCT _shard_num FROM events
WHERE position > {low:UInt64} AND position <= {high:UInt64} AND _shard_num != {shard:UInt32} LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as ``system.clusters`` tells of it.

    Parameters
    ----------
    number
        From 1.
    hosts
        Names of its replicas.
    database
        The cluster's own default database of the shard; empty where it names none.
    """

    number: int
    hosts: tuple[str, ...]
    database: str


def layout(warehouse: Warehouse) -> tuple[Shard, ...]:
    """The shards of the configured cluster, in order.

    Raises
    ------
    SettingsError
        The server knows no cluster of that name.
    """
    rows = warehouse.query(_LAYOUT, {"cluster": warehouse.config.cluster}).rows
    if not rows:
        raise SettingsError(
            f"The warehouse knows no cluster {warehouse.config.cluster!r}: see system.clusters for its name and set "
            "LLM_HUB_WAREHOUSE_CLUSTER."
        )
    numbers = sorted({number for number, _, _ in rows})
    return tuple(
        Shard(
            number,
            tuple(host for of, host, _ in rows if of == number),
            next(database for of, _, database in rows if of == number),
        )
        for number in numbers
    )


def local_database(warehouse: Warehouse) -> str:
    """The database of the tables that hold the rows."""
    return f"{warehouse.database}_local" if warehouse.config.cluster else warehouse.database


def local(warehouse: Warehouse) -> Warehouse:
    """The tables that hold the rows, on any host: for statements ``ON CLUSTER``. On a single server the same warehouse.

    What is returned shares nothing with ``warehouse`` and is closed by whoever asked.
    """
    address = warehouse.address
    assert isinstance(address, Server)
    return Warehouse(replace(address, database=local_database(warehouse)), warehouse.config, warehouse.clock)


class Shards:
    """The warehouse of each partition of the log: a replica of its shard.

    A partition's shard follows from its number and from how many shards there are: so that number stays what it was
    when the hub was created (:meth:`of` refuses a partition whose events are elsewhere). The replicas of a shard are
    reached by the names that ``system.clusters`` has for them, at the port of the warehouse's URL.

    Parameters
    ----------
    warehouse
        The open, migrated warehouse of all shards; where it is no cluster, every lane is its own.
    """

    def __init__(self, warehouse: Warehouse) -> None:
        self._all = warehouse
        self._shards: Sequence[Shard] = ()
        self._open: dict[int, Warehouse] = {}
        self._checked: set[int] = set()
        self._lock = threading.Lock()

    def of(self, lane: int) -> Warehouse:
        """Where the rows of a lane are.

        Raises
        ------
        SettingsError
            Events of the lane are on another shard: the number of shards was changed.
        core.errors.Retryable
            The cluster does not answer.
        """
        if not self._all.config.cluster:
            return self._all
        with self._lock:
            self._shards = self._shards or layout(self._all)
            shard = self._shards[lane % len(self._shards)]
            if lane not in self._checked:
                self._check(lane, shard)
                self._checked.add(lane)
            if shard.number not in self._open:
                self._open[shard.number] = self._opened(shard)
            return self._open[shard.number]

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            houses, self._open = list(self._open.values()), {}
        for house in houses:
            house.close()

    def _check(self, lane: int, shard: Shard) -> None:
        first = lane << LANE_BITS
        values = {"low": first, "high": first + (1 << LANE_BITS) - 1, "shard": shard.number}
        if found := self._all.query(_ELSEWHERE, values).rows:
            raise SettingsError(
                f"Events of lane {lane} are on shard {found[0][0]} and would go to shard {shard.number} now: "
                "the number of shards of a cluster stays what it was when the hub was created. Move the hub by backup "
                "and restore instead."
            )

    def _opened(self, shard: Shard) -> Warehouse:
        address = self._all.address
        assert isinstance(address, Server)
        hosts = tuple(Host(name, address.hosts[0].port) for name in shard.hosts)
        database = shard.database or local_database(self._all)
        config = replace(self._all.config, cluster="", in_step=() if shard.database else IN_STEP)
        return Warehouse(replace(address, hosts=hosts, database=database), config, self._all.clock)
