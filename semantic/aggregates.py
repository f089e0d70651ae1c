"""What measures are made of: aggregates that can be computed in parts and merged, on raw rows and on rollups alike."""

from dataclasses import dataclass
from typing import Final, Literal

Function = Literal["count", "sum", "quantiles", "unique"]

REQUEST: Final = ("llm.request",)
MODEL_CALLS: Final = ("llm.request", "llm.embedding")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One mergeable aggregate over event rows.

    Parameters
    ----------
    name
        Unique among all aggregates; measures refer to it in their formula.
    function
        ``count``, ``sum``, ``quantiles`` (a sketch) or ``unique`` (a sketch of distinct values).
    argument
        Column it is computed over; empty for ``count``.
    types
        Event types it counts; empty for all of them.
    where
        Further SQL condition on event rows, in terms of columns, without values of a user.
    columns
        Columns that ``where`` reads.
    follows
        Whether a question that names event types itself (filter or dimension) replaces ``types`` by its own.
    """

    name: str
    function: Function
    argument: str = ""
    types: tuple[str, ...] = ()
    where: str = ""
    columns: frozenset[str] = frozenset()
    follows: bool = False


def _count(name: str, *types: str, where: str = "", columns: tuple[str, ...] = (), follows: bool = False) -> Aggregate:
    return Aggregate(name, "count", "", types, where, frozenset(columns), follows)


def _sum(name: str, argument: str, *types: str, follows: bool = False) -> Aggregate:
    return Aggregate(name, "sum", argument, types, follows=follows)


def _present(name: str, argument: str, *types: str, follows: bool = False) -> Aggregate:
    """Rows in which ``argument`` is there: the divisor of its average."""
    return Aggregate(name, "count", argument, types, f"{argument} IS NOT NULL", frozenset((argument,)), follows)


def _mean(argument: str, *types: str, follows: bool = False) -> tuple[Aggregate, Aggregate]:
    return (
        _sum(f"{argument}_sum", argument, *types, follows=follows),
        _present(f"{argument}_count", argument, *types, follows=follows),
    )


#: Every aggregate, in no particular order; a new measure usually needs a line here and one in ``measures``.
AGGREGATES: Final[tuple[Aggregate, ...]] = (
    _count("events"),
    _count("requests", *REQUEST),
    _count("operations", *REQUEST, follows=True),
    _count("errors", *REQUEST, where="status = 'error'", columns=("status",), follows=True),
    _count("unpriced", *MODEL_CALLS, where="cost_source = 'unpriced'", columns=("cost_source",)),
    _sum("input_tokens", "input_tokens", *MODEL_CALLS),
    _sum("output_tokens", "output_tokens", *MODEL_CALLS),
    _sum("cache_read_input_tokens", "cache_read_input_tokens", *MODEL_CALLS),
    _sum("cache_write_input_tokens", "cache_write_input_tokens", *MODEL_CALLS),
    _sum("reasoning_output_tokens", "reasoning_output_tokens", *MODEL_CALLS),
    _sum("cost_usd", "cost_usd"),
    _present("priced", "cost_usd"),
    *_mean("duration_ms", *REQUEST, follows=True),
    Aggregate("latency", "quantiles", "duration_ms", REQUEST, follows=True),
    *_mean("time_to_first_token_ms", *REQUEST),
    Aggregate("ttft", "quantiles", "time_to_first_token_ms", REQUEST),
    *_mean("tokens_per_second", *REQUEST),
    Aggregate("users", "unique", "user_id"),
    Aggregate("sessions", "unique", "session_id"),
    Aggregate("traces", "unique", "trace_id"),
    _count("gateway_cache_hits", *REQUEST, where="cache_hit", columns=("cache_hit",)),
    _count("rate_limited", "gateway.rate_limit"),
    _count("deployments", "registry.deployment"),
    _count("guardrail_checks", "guardrail.check"),
    _count("guardrail_blocks", "guardrail.check", where="verdict = 'block'", columns=("verdict",)),
    _count("guardrail_flags", "guardrail.check", where="verdict != 'pass'", columns=("verdict",)),
    _count("tool_calls", "tool.call"),
    _count("tool_errors", "tool.call", where="status = 'error'", columns=("status",)),
    _count("agent_runs", "agent.run"),
    _count("evaluations", "evaluation.score"),
    Aggregate("evaluation_score_sum", "sum", "score", ("evaluation.score",)),
    _present("evaluation_scored", "score", "evaluation.score"),
    _count("evaluations_passed", "evaluation.score", where="passed", columns=("passed",)),
    _present("evaluations_judged", "passed", "evaluation.score"),
    _count("feedbacks", "feedback.rating"),
    *_mean("rating", "feedback.rating"),
    _count("thumbs_up", "feedback.rating", where="label = 'up'", columns=("label",)),
    _count("thumbs", "feedback.rating", where="label != ''", columns=("label",)),
    _count("retrievals", "retrieval.query"),
    _count("retrieval_hits", "retrieval.query", where="returned > 0", columns=("returned",)),
    _present("retrieval_counted", "returned", "retrieval.query"),
    *_mean("returned", "retrieval.query"),
    *_mean("max_score", "retrieval.query"),
    *_mean("queue_depth", "serving.sample"),
    *_mean("running", "serving.sample"),
    *_mean("kv_cache_usage", "serving.sample"),
    *_mean("gpu_utilization", "serving.sample"),
    *_mean("generation_tokens_per_s", "serving.sample"),
    *_mean("queue_ms", "gateway.route"),
    *_mean("value", "metric.sample"),
    _sum("revenue_usd", "revenue_usd", "product.event"),
    _count("jobs_failed", "job.run", where="state = 'failed'", columns=("state",)),
    _count("jobs_ended", "job.run", where="state IN ('failed', 'succeeded')", columns=("state",)),
)

#: Name → aggregate.
BY_NAME: Final[dict[str, Aggregate]] = {aggregate.name: aggregate for aggregate in AGGREGATES}
