"""Every metric's name, in one typed place. A room adds its own block; nobody makes a metric anywhere else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics import MetricWrapperBase

#: Values of a label that a sender chooses; what comes later is counted as ``other``.
_MOST_VALUES = 200

#: Every label, and what keeps the number of its values small. No metric has a tenant, a user or a trace.
LABELS: Final[Mapping[str, str]] = {
    "connections": "`in_use` or `idle`",
    "door": "the doors, by name",
    "error": "the classes of `core/errors.py`",
    "kind": "`input` or `output`",
    "method": "HTTP's own; anything else is `other`",
    "model": f"the first {_MOST_VALUES} models seen; the rest is `other`",
    "outcome": "a few words, with the metric or in the code",
    "part": "the parts of a hub, as `/health/ready` names them",
    "partition": "partitions of `hub.events`",
    "path": "`fast`, `mixed` or `slow`",
    "reason": "a few words, with the metric or in the code",
    "role": "one a process",
    "route": "path templates of the routes; `none` for paths that are none",
    "source": "tables that answers are read from, and their combinations",
    "stage": "stages at which a record can fail",
    "state": "states of the streams",
    "status": "HTTP's status codes",
    "step": "the steps of `streams/topology.py`",
    "target": "the targets of the setting `scrape_targets`",
    "version": "one a process",
    "what": "a few words, with the metric or in the code",
    "work": "`open`, `query`, `command` or `insert`",
}
#: Seconds from a millisecond to a minute and a half; a request, an insert and a fold all fit.
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 90.0)
_ROWS: Final = (1, 10, 100, 1e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5)
_BYTES: Final = tuple(float(1 << power) for power in range(10, 27, 2))


class Metrics:
    """The hub's metrics in a registry of their own, so that two hubs in one process (tests) do not mix.

    Parameters
    ----------
    registry
        Where they are registered; a new one by default.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        self._values: dict[str, set[str]] = {}

        # the process
        self.info = self._gauge("info", "1; says which release and role runs here.", ["version", "role"])
        self.part_ok = self._gauge("part_ok", "Whether a part of this process is well.", ["part"])
        self.disk_free_bytes = self._gauge("disk_free_bytes", "Free bytes below the data folder.")
        self.disk_least_bytes = self._gauge("disk_least_bytes", "Free bytes below which the doors answer 503.")
        ProcessCollector(registry=self.registry)

        # web: every request, at doors and for questions
        self.http_seconds = self._histogram(
            "http_seconds", "From a request to the head of its answer.", ["route", "method", "status"], _SECONDS
        )
        self.http_open = self._gauge("http_open", "Requests that have not been answered to their end.")

        # ingest: what comes in through the doors
        self.ingest_accepted = self._counter("ingest_accepted", "Events made durable.", ["door"])
        self.ingest_rejected = self._counter("ingest_rejected", "Rows rejected, by kind of reason.", ["door", "reason"])
        self.ingest_duplicates = self._counter("ingest_duplicates", "Events of requests known already.", ["door"])
        self.ingest_bytes = self._counter("ingest_bytes", "Bytes of bodies as they came over the wire.", ["door"])
        self.ingest_requests = self._counter(
            "ingest_requests", "Requests, by status of the answer.", ["door", "status"]
        )
        self.ingest_refused = self._counter(
            "ingest_refused",
            "Requests told to come again: `in_flight` too many bytes in the doors, `disk` no room, `log` full or away, "
            "`backlog` the streams are too far behind, `stopping`.",
            ["reason"],
        )
        #: ``fast``: columns only; ``mixed``: some rows one by one; ``slow``: all rows one by one.
        self.ingest_batches = self._counter(
            "ingest_batches", "Bodies decoded, by the way it was done.", ["door", "path"]
        )
        self.ingest_batch_rows = self._histogram("ingest_batch_rows", "Rows of a body.", ["door"], _ROWS)
        self.ingest_redactions = self._counter(
            "ingest_redactions", "Values that something was redacted from.", ["door"]
        )
        self.ingest_dropped_bodies = self._counter(
            "ingest_dropped_bodies", "Contents dropped because the tenant keeps none.", ["door"]
        )
        self.ingest_in_flight_bytes = self._gauge("ingest_in_flight_bytes", "Bytes of bodies being worked on.")
        self.ingest_in_flight_limit_bytes = self._gauge(
            "ingest_in_flight_limit_bytes", "Bytes of bodies from which on the doors answer 503."
        )
        self.ingest_gathered_rows = self._gauge(
            "ingest_gathered_rows", "Events of small bodies that wait to go together."
        )
        self.ingest_records = self._counter("ingest_records", "Log records written.", [])
        self.ingest_dead_letters = self._counter("ingest_dead_letters", "Rows put into the dead letters.", ["door"])
        self.ingest_seconds = self._histogram(
            "ingest_seconds", "From the first byte of a body to its durable answer.", ["door"]
        )

        #: ``replayed``, ``refused`` again, ``purged``. How many came tell ``ingest_rejected`` and ``streams_poison``.
        self.dead_letters_settled = self._counter("dead_letters_settled", "Dead letters looked after.", ["outcome"])

        self.langfuse_unended = self._counter("langfuse_unended", "Observations written without their end.", [])

        #: ``ok``, ``unreachable``, ``timeout``, ``status``, ``too_large``, ``unreadable``, ``no_tenant``, ``refused``.
        self.scrapes = self._counter("scrapes", "Looks at serving workers, by how they ended.", ["target", "outcome"])

        # log: the embedded one, or the clients of Kafka
        self.log_append_seconds = self._histogram(
            "log_append_seconds", "Seconds until an append is durable.", (), _SECONDS
        )
        self.log_append_bytes = self._histogram("log_append_bytes", "Bytes of an append.", (), _BYTES)
        self.log_failures = self._counter("log_failures", "Appends that failed, by error.", ["error"])
        self.log_queued_bytes = self._gauge("log_queued_bytes", "Bytes on their way into the log.")
        self.log_queue_limit_bytes = self._gauge("log_queue_limit_bytes", "Bytes from which on appends are refused.")
        self.log_connections = self._gauge(
            "log_connections", "Open connections of the producer to brokers of Kafka; always 0 on the embedded log."
        )

        # streams: from the log to the warehouse
        self.streams_state = self._gauge(
            "streams_state",
            "1 for the state of the streams: `starting`, `running`, `waiting`, `given_up` or `stopped`.",
            ["state"],
        )
        self.streams_partitions = self._gauge("streams_partitions", "Partitions that this worker has.")
        self.streams_rebalances = self._counter("streams_rebalances", "Times that partitions were given or taken.", [])
        self.streams_rows = self._counter("streams_rows", "Events stored.", [])
        self.streams_blocks = self._counter("streams_blocks", "Blocks: `stored`, `empty` or `poison`.", ["outcome"])
        self.streams_block_rows = self._histogram("streams_block_rows", "Events of a stored block.", (), _ROWS)
        self.streams_block_records = self._histogram(
            "streams_block_records", "Log records of a stored block.", (), _ROWS
        )
        self.streams_buffer_bytes = self._gauge("streams_buffer_bytes", "Bytes fetched that are in no block yet.")
        self.streams_buffer_limit_bytes = self._gauge(
            "streams_buffer_limit_bytes", "Bytes fetched from which on fetching pauses."
        )
        self.streams_step_seconds = self._histogram("streams_step_seconds", "Seconds of a step for a block.", ["step"])
        self.streams_store_seconds = self._histogram(
            "streams_store_seconds", "Seconds to store a block in all tables, retries included.", (), _SECONDS
        )
        self.streams_retries = self._counter("streams_retries", "Attempts to store a block that failed.", [])
        self.streams_poison = self._counter("streams_poison", "Records put into the dead letters.", ["stage"])
        self.streams_duplicates = self._counter("streams_duplicates", "Events that came again.", [])
        #: ``no_price``: the model is unknown; ``no_usage``: neither tokens nor text to estimate them from.
        self.streams_unpriced = self._counter("streams_unpriced", "Calls without a price.", ["model", "reason"])
        # partitions of `hub.events`, `3`, and of what is mirrored from another region, `eu.3`
        self.streams_lag_records = self._gauge("streams_lag_records", "Records not yet stored.", ["partition"])
        self.streams_lag_seconds = self._gauge("streams_lag_seconds", "Age of what is visible.", ["partition"])
        self.streams_failures = self._counter("streams_failures", "Side work of a block that failed.", ["what"])

        # rollups and retention
        self.rollup_folds = self._counter("rollup_folds", "Folds of events into a rollup.", [])
        self.rollup_failures = self._counter("rollup_failures", "Attempts to fold that failed.", [])
        self.rollup_rows_behind = self._gauge("rollup_rows_behind", "Events that are stored and not in the rollups.")
        self.rollup_seconds = self._histogram("rollup_seconds", "Seconds to bring all rollups up to date.")
        #: ``retention`` or ``erasure`` of deleted tenants.
        self.keeping_changes = self._counter(
            "keeping_changes", "Times that stored rows were deleted or kept longer.", ["what"]
        )
        self.keeping_failures = self._counter("keeping_failures", "Attempts at that which failed.", ["what"])
        self.keeping_erasures = self._gauge("keeping_erasures", "Deleted tenants that are not erased yet.")

        # warehouse: the engine in the process, or the clients of a server
        self.warehouse_seconds = self._histogram(
            "warehouse_seconds", "Seconds that a connection was busy, by work.", ["work"], _SECONDS
        )
        self.warehouse_failures = self._counter(
            "warehouse_failures", "Work of the warehouse that failed, by error.", ["work", "error"]
        )
        self.warehouse_retries = self._counter("warehouse_retries", "Further attempts at work of a server.", ["work"])
        self.warehouse_failovers = self._counter("warehouse_failovers", "Times that a host was left for the next.", [])
        #: 0 closed: it answers; 1 half open: one call finds out; 2 open: it is left alone for some seconds.
        self.warehouse_breaker = self._gauge("warehouse_breaker", "Whether the server is asked: 0 yes, 1 and 2 no.")
        self.warehouse_connections = self._gauge("warehouse_connections", "Open connections.", ["connections"])
        self.warehouse_connections_limit = self._gauge("warehouse_connections_limit", "Most connections at a time.")

        # questions
        self.query_asked = self._counter("query_asked", "Questions, those that a kept answer serves included.", [])
        self.query_seconds = self._histogram(
            "query_seconds", "Seconds of a question that was worked out, by where it was read.", ["source"], _SECONDS
        )
        self.query_rows_read = self._histogram(
            "query_rows_read", "Rows read for a question.", (), (1, 100, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
        )
        self.query_failures = self._counter("query_failures", "Questions not answered, by error.", ["error"])
        self.query_open = self._gauge("query_open", "Questions that run or wait.")
        self.query_open_limit = self._gauge(
            "query_open_limit", "Questions from which on others are told to come again."
        )
        self.live_watchers = self._gauge("live_watchers", "Pages that are watched live.")
        self.live_dropped = self._gauge("live_dropped", "Points that slow watchers have lost since the start.")

        # what model calls used, under the names that gateways use
        self.gateway_tokens = Counter(
            "llm_gateway_token_usage", "Tokens of stored model calls.", ["model", "kind"], registry=self.registry
        )
        self.gateway_cost = Counter(
            "llm_gateway_cost_usd", "Cost of stored model calls.", ["model"], registry=self.registry
        )

    def bounded(self, label: str, value: str) -> str:
        """A label's value, or ``other`` once the label has enough values: senders must not grow the hub's memory."""
        known = self._values.setdefault(label, set())
        if value in known or len(known) < _MOST_VALUES:
            known.add(value)
            return value
        return "other"

    def _counter(self, name: str, text: str, labels: Sequence[str]) -> Counter:
        return Counter(f"llm_hub_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"llm_hub_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, labels: Sequence[str] = (), buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS
    ) -> Histogram:
        return Histogram(f"llm_hub_{name}", text, labels, registry=self.registry, buckets=buckets)


@dataclass(frozen=True, slots=True)
class Exposed:
    """A metric as whoever scrapes it sees it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def exposed(metrics: Metrics) -> list[Exposed]:
    """Every metric under the name that it has on the page, those of the process last."""
    held = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    labels = {family.name: one._labelnames for one in held for family in one.describe()}  # noqa: SLF001
    found = [
        Exposed(
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            tuple(labels.get(family.name, ())),
            family.documentation,
        )
        for family in metrics.registry.collect()
    ]
    return sorted(found, key=lambda one: one.name.startswith("process_"))
