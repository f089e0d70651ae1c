"""The measures that can be asked for, each a formula over aggregates."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from semantic.aggregates import BY_NAME, Aggregate
from storage.warehouse.rollups import LEVELS

_REFERENCE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that can be asked for.

    Parameters
    ----------
    name
        Its public name.
    type
        ``integer`` or ``number``.
    unit
        ``events``, ``ms``, ``USD``, ``tokens``, ``ratio`` …
    description
        For people; says over which events it is taken.
    formula
        SQL over aggregates, each written ``{name}``; the same on raw rows and on rollups.
    additive
        Counts and sums: empty buckets hold 0, and parts may be added. All else is null where there is nothing.
    """

    name: str
    type: Literal["integer", "number"]
    unit: str
    description: str
    formula: str
    additive: bool = False

    @property
    def aggregates(self) -> tuple[Aggregate, ...]:
        """What the formula needs, in the order of its text."""
        return tuple(BY_NAME[name] for name in dict.fromkeys(_REFERENCE.findall(self.formula)))

    def sql(self, names: dict[str, str]) -> str:
        """The formula with aggregates replaced by SQL."""
        return _REFERENCE.sub(lambda match: names[match.group(1)], self.formula)


def _total(name: str, unit: str, description: str, formula: str = "", number: bool = False) -> Measure:
    return Measure(name, "number" if number else "integer", unit, description, formula or f"{{{name}}}", additive=True)


def _number(name: str, unit: str, description: str, formula: str) -> Measure:
    return Measure(name, "number", unit, description, formula)


def _ratio(name: str, unit: str, description: str, part: str, whole: str) -> Measure:
    return _number(name, unit, description, f"if({{{whole}}} = 0, NULL, toFloat64({{{part}}}) / {{{whole}}})")


def _average(name: str, unit: str, description: str, aggregate: str) -> Measure:
    return _ratio(name, unit, description, f"{aggregate}_sum", f"{aggregate}_count")


def _percentile(prefix: str, label: str, level: float, sketch: str, what: str) -> Measure:
    formula = f"{{{sketch}}}[{LEVELS.index(level) + 1}]"
    return _number(f"{prefix}_{label}", "ms", f"{level * 100:g}th percentile of {what}, within 1%.", formula)


_FOLLOWS = "of `llm.request`, or of the types that the question names (filter or dimension `type`, `tool_name`, …)"
_CALLS = "over `llm.request` and `llm.embedding`; never `agent.run`, which repeats its calls"
_DURATION = f"`duration_ms` {_FOLLOWS}"
_TTFT = "`time_to_first_token_ms` of `llm.request`"

#: In the order of the catalogue.
MEASURES: Final[tuple[Measure, ...]] = (
    _total("events", "events", "Events of all types."),
    _total("requests", "requests", "Calls of language models: `llm.request`."),
    _total("errors", "events", f"Events with `status` `error`, {_FOLLOWS}."),
    _ratio("error_rate", "ratio", f"Share with `status` `error`, {_FOLLOWS}.", "errors", "operations"),
    _total("input_tokens", "tokens", f"Prompt tokens, cache reads included, {_CALLS}."),
    _total("output_tokens", "tokens", f"Completion tokens, reasoning included, {_CALLS}."),
    _total("cache_read_input_tokens", "tokens", f"Prompt tokens read from the provider's cache, {_CALLS}."),
    _total("cache_write_input_tokens", "tokens", f"Prompt tokens written to the provider's cache, {_CALLS}."),
    _total("reasoning_output_tokens", "tokens", f"Completion tokens spent on reasoning, {_CALLS}."),
    _total("total_tokens", "tokens", f"Prompt and completion tokens, {_CALLS}.", "{input_tokens} + {output_tokens}"),
    _total(
        "cost_usd",
        "USD",
        "Cost of everything that has one. Null, not 0, where nothing of a group could be priced: see"
        " `unpriced_requests`.",
        "if({priced} = 0 AND {unpriced} > 0, NULL, toFloat64({cost_usd}))",
        number=True,
    ),
    _total("unpriced_requests", "requests", "Model calls whose model has no known price.", "{unpriced}"),
    _average("latency_avg", "ms", f"Mean {_DURATION}.", "duration_ms"),
    _percentile("latency", "p50", 0.5, "latency", _DURATION),
    _percentile("latency", "p90", 0.9, "latency", _DURATION),
    _percentile("latency", "p95", 0.95, "latency", _DURATION),
    _percentile("latency", "p99", 0.99, "latency", _DURATION),
    _percentile("latency", "p999", 0.999, "latency", _DURATION),
    _average("ttft_avg", "ms", f"Mean {_TTFT}.", "time_to_first_token_ms"),
    _percentile("ttft", "p50", 0.5, "ttft", _TTFT),
    _percentile("ttft", "p90", 0.9, "ttft", _TTFT),
    _percentile("ttft", "p95", 0.95, "ttft", _TTFT),
    _percentile("ttft", "p99", 0.99, "ttft", _TTFT),
    _average("tokens_per_second", "tokens/s", "Mean output speed of one `llm.request`.", "tokens_per_second"),
    _total("users", "users", "Distinct `user_id` over events of all types."),
    _total("sessions", "sessions", "Distinct `session_id` over events of all types."),
    _total("traces", "traces", "Distinct `trace_id` over events of all types."),
    _ratio("cost_per_request", "USD", "Cost divided by `llm.request` events.", "cost_usd", "requests"),
    _number(
        "tokens_per_request",
        "tokens",
        "Prompt and completion tokens divided by `llm.request` events.",
        "if({requests} = 0, NULL, ({input_tokens} + {output_tokens}) / {requests})",
    ),
    _ratio(
        "cache_hit_rate",
        "ratio",
        "Share of prompt tokens read from the provider's cache.",
        "cache_read_input_tokens",
        "input_tokens",
    ),
    _ratio(
        "gateway_cache_hit_rate",
        "ratio",
        "Share of `llm.request` answered from the gateway's own cache.",
        "gateway_cache_hits",
        "requests",
    ),
    _total("rate_limited", "events", "Requests that met a rate limit: `gateway.rate_limit`."),
    _average("queue_ms_avg", "ms", "Mean time in the gateway's queue: `gateway.route`.", "queue_ms"),
    _total("tool_calls", "events", "Calls of tools: `tool.call`."),
    _total("tool_errors", "events", "Calls of tools that failed."),
    _ratio("tool_error_rate", "ratio", "Share of calls of tools that failed.", "tool_errors", "tool_calls"),
    _total("agent_runs", "events", "Runs of agents: `agent.run`."),
    _total("guardrail_checks", "events", "Verdicts of guardrails: `guardrail.check`."),
    _total("guardrail_blocks", "events", "Verdicts `block`."),
    _ratio("guardrail_block_rate", "ratio", "Share of verdicts `block`.", "guardrail_blocks", "guardrail_checks"),
    _ratio(
        "guardrail_flag_rate", "ratio", "Share of verdicts other than `pass`.", "guardrail_flags", "guardrail_checks"
    ),
    _total("retrievals", "events", "Queries of retrieval indexes: `retrieval.query`."),
    _ratio(
        "retrieval_hit_rate",
        "ratio",
        "Share of retrieval queries that returned anything.",
        "retrieval_hits",
        "retrieval_counted",
    ),
    _average("retrieval_returned_avg", "documents", "Mean number of documents returned.", "returned"),
    _average("retrieval_score_avg", "score", "Mean best score of a retrieval query.", "max_score"),
    _total("evaluations", "events", "Judgements: `evaluation.score`."),
    _ratio("evaluation_score_avg", "score", "Mean `score` of judgements.", "evaluation_score_sum", "evaluation_scored"),
    _ratio(
        "evaluation_pass_rate",
        "ratio",
        "Share of judgements with `passed` true, of those that say.",
        "evaluations_passed",
        "evaluations_judged",
    ),
    _total("feedbacks", "events", "Ratings by users: `feedback.rating`."),
    _average("feedback_avg", "rating", "Mean `rating` of users.", "rating"),
    _ratio("feedback_up_rate", "ratio", "Share of thumbs that point up.", "thumbs_up", "thumbs"),
    _average("queue_depth_avg", "requests", "Mean queue of a serving worker: `serving.sample`.", "queue_depth"),
    _average("running_avg", "requests", "Mean running requests of a serving worker.", "running"),
    _average("kv_cache_usage_avg", "ratio", "Mean share of the KV cache in use.", "kv_cache_usage"),
    _average("gpu_utilization_avg", "ratio", "Mean share of the GPU's time in use.", "gpu_utilization"),
    _average("generation_tokens_per_s_avg", "tokens/s", "Mean generated tokens a second.", "generation_tokens_per_s"),
    _total("deployments", "events", "Things that went live or back: `registry.deployment`."),
    _ratio("job_failure_rate", "ratio", "Share of ended jobs that failed: `job.run`.", "jobs_failed", "jobs_ended"),
    _average("value_avg", "", "Mean `value` of `metric.sample`; choose the metric by its `name`.", "value"),
    _total("revenue_usd", "USD", "Revenue of `product.event`.", "toFloat64({revenue_usd})", number=True),
)
