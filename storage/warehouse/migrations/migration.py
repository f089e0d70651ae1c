"""What a migration is, and how its statements become SQL for one server or a cluster."""

from dataclasses import dataclass
from string import Template


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
        broke off half way is simply repeated. They are :class:`string.Template` texts with ``$on_cluster``,
        ``$merge_tree``, ``$aggregating_merge_tree`` and ``$window`` (the setting that remembers tokens).
    """

    number: int
    name: str
    forward: tuple[str, ...]
    backward: tuple[str, ...]


def render(statement: str, cluster: str = "") -> str:
    """The SQL of a statement, for a single server or, with replicated tables, for a cluster.

    Examples
    --------
    >>> render("CREATE TABLE t $on_cluster (x UInt8) ENGINE = $merge_tree ORDER BY x")
    'CREATE TABLE t  (x UInt8) ENGINE = MergeTree ORDER BY x'
    >>> render("DROP TABLE t $on_cluster", cluster="main")
    "DROP TABLE t ON CLUSTER 'main'"
    """
    if cluster and not cluster.replace("-", "_").isidentifier():
        raise ValueError("the name of a cluster is letters, digits, - and _")
    replicated = "Replicated" if cluster else ""
    return Template(statement).substitute(
        on_cluster=f"ON CLUSTER '{cluster}'" if cluster else "",
        merge_tree=f"{replicated}MergeTree",
        aggregating_merge_tree=f"{replicated}AggregatingMergeTree",
        window="replicated_deduplication_window" if cluster else "non_replicated_deduplication_window",
    )
