"""What a migration is, and how its statements become SQL for one server or a cluster."""

import re
from dataclasses import dataclass
from string import Template
from typing import Final


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step of the warehouse's schema.

    Parameters
    ----------
    number
        Its place; numbers are never used again.
    name
        What it does, in a word or two.
    forward, backward
        Statements in order. Each must be harmless when it is run again (``IF NOT EXISTS``, ``IF EXISTS``): a run that
        broke off half way is simply repeated. They are :class:`string.Template` texts with ``$on_cluster`` behind the
        table's name, ``$merge_tree``, ``$aggregating_merge_tree``, ``$everywhere`` (a table that all shards share) and
        ``$window`` (the setting that remembers tokens).
    """

    number: int
    name: str
    forward: tuple[str, ...]
    backward: tuple[str, ...]


#: Where the replicas of a table meet in the Keeper: by the name of the table, so that a replica that is added later
#: finds its place. ``{shard}`` and ``{replica}`` are macros that every server of a cluster has.
_BY_SHARD: Final = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
_EVERYWHERE: Final = "'/clickhouse/tables/all/{database}/{table}', '{shard}-{replica}'"

_TABLE: Final = re.compile(r"\s*(CREATE TABLE IF NOT EXISTS|DROP TABLE IF EXISTS|ALTER TABLE) (\w+) \$on_cluster")
_HELD: Final = re.compile(r"ENGINE = \$(merge_tree|aggregating_merge_tree)\b")


def render(statement: str, cluster: str = "") -> str:
    """The SQL of a statement, for a single server or, with replicated tables, for a cluster.

    Examples
    --------
    >>> render("CREATE TABLE t $on_cluster (x UInt8) ENGINE = $merge_tree ORDER BY x")
    'CREATE TABLE t  (x UInt8) ENGINE = MergeTree ORDER BY x'
    >>> render("DROP TABLE t $on_cluster", cluster="main")
    "DROP TABLE t ON CLUSTER 'main'"
    """
    _check(cluster)
    return Template(statement).substitute(
        on_cluster=f"ON CLUSTER '{cluster}'" if cluster else "",
        merge_tree=f"ReplicatedMergeTree({_BY_SHARD})" if cluster else "MergeTree",
        aggregating_merge_tree=f"ReplicatedAggregatingMergeTree({_BY_SHARD})" if cluster else "AggregatingMergeTree",
        everywhere=f"ReplicatedMergeTree({_EVERYWHERE})" if cluster else "MergeTree",
        window="replicated_deduplication_window" if cluster else "non_replicated_deduplication_window",
    )


def above(statement: str, cluster: str, database: str, shards_database: str) -> str | None:
    """What a statement about a table of the shards means for the Distributed table above it; None: nothing.

    Parameters
    ----------
    statement
        As in a migration.
    cluster, database
        Of the tables that hold the rows.
    shards_database
        The same as Distributed tables say it: empty where the cluster names a database of each shard itself.

    Examples
    --------
    >>> above("DROP TABLE IF EXISTS t $on_cluster SYNC", "main", "hub_local", "hub_local")
    "DROP TABLE IF EXISTS t ON CLUSTER 'main' SYNC"
    """
    _check(cluster)
    found = _TABLE.match(statement)
    if found is None:
        return None
    verb, table = found[1], found[2]
    if verb.startswith("DROP"):
        return f"DROP TABLE IF EXISTS {table} ON CLUSTER '{cluster}' SYNC"
    if verb.startswith("CREATE") and not _HELD.search(statement):
        return None
    lane = ", bitShiftRight(position, 48)" if table == "events" else ""
    return (
        f"CREATE OR REPLACE TABLE {table} ON CLUSTER '{cluster}' AS {database}.{table} "
        f"ENGINE = Distributed('{cluster}', '{shards_database}', '{table}'{lane})"
    )


def _check(cluster: str) -> None:
    if cluster and not cluster.replace("-", "_").isidentifier():
        raise ValueError("the name of a cluster is letters, digits, - and _")
