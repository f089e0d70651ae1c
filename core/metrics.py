"""Every metric's name, in one typed place. A room adds its own block; nobody makes a metric anywhere else."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Values of a label that a sender chooses; what comes later is counted as ``other``.
_MOST_VALUES = 200


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

        # ingest: what comes in through the doors
        self.ingest_accepted = self._counter("ingest_accepted", "Events made durable.", ["door"])
        self.ingest_rejected = self._counter("ingest_rejected", "Rows rejected, by kind of reason.", ["door", "reason"])
        self.ingest_duplicates = self._counter("ingest_duplicates", "Events of requests known already.", ["door"])
        self.ingest_bytes = self._counter("ingest_bytes", "Bytes of bodies as they came over the wire.", ["door"])
        self.ingest_requests = self._counter(
            "ingest_requests", "Requests, by status of the answer.", ["door", "status"]
        )
        #: ``fast``: columns only; ``mixed``: some rows one by one; ``slow``: all rows one by one.
        self.ingest_batches = self._counter(
            "ingest_batches", "Bodies decoded, by the way it was done.", ["door", "path"]
        )
        self.ingest_redactions = self._counter(
            "ingest_redactions", "Values that something was redacted from.", ["door"]
        )
        self.ingest_dropped_bodies = self._counter(
            "ingest_dropped_bodies", "Contents dropped because the tenant keeps none.", ["door"]
        )
        self.ingest_in_flight_bytes = self._gauge("ingest_in_flight_bytes", "Bytes of bodies being worked on.")
        self.ingest_records = self._counter("ingest_records", "Log records written.", [])
        self.ingest_seconds = self._histogram(
            "ingest_seconds", "From the first byte of a body to its durable answer.", ["door"]
        )

        self.langfuse_unended = self._counter("langfuse_unended", "Observations written without their end.", [])

        #: ``ok``, ``unreachable``, ``timeout``, ``status``, ``too_large``, ``unreadable``, ``no_tenant``, ``refused``.
        self.scrapes = self._counter("scrapes", "Looks at serving workers, by how they ended.", ["target", "outcome"])

        # streams: from the log to the warehouse
        self.streams_rows = self._counter("streams_rows", "Events stored.", [])
        self.streams_blocks = self._counter("streams_blocks", "Blocks, by how they ended.", ["outcome"])
        self.streams_block_rows = self._histogram(
            "streams_block_rows", "Events of a stored block.", buckets=(10, 100, 1e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5)
        )
        self.streams_step_seconds = self._histogram("streams_step_seconds", "Seconds of a step for a block.", ["step"])
        self.streams_retries = self._counter("streams_retries", "Attempts to store a block that failed.", [])
        self.streams_poison = self._counter("streams_poison", "Records put into the dead letters.", ["stage"])
        self.streams_duplicates = self._counter("streams_duplicates", "Events that came again.", [])
        #: ``no_price``: the model is unknown; ``no_usage``: neither tokens nor text to estimate them from.
        self.streams_unpriced = self._counter("streams_unpriced", "Calls without a price.", ["model", "reason"])
        self.streams_lag_records = self._gauge("streams_lag_records", "Records not yet stored.", ["partition"])
        self.streams_lag_seconds = self._gauge("streams_lag_seconds", "Age of what is visible.", ["partition"])
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
        self.streams_failures = self._counter("streams_failures", "Side work of a block that failed.", ["what"])
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
