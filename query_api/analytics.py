"""The named analytics: each a plain question of the semantic layer."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Analysis:
    """A question with a name.

    Parameters
    ----------
    name
        Last part of its path.
    summary
        What it tells, for the documentation.
    measures, dimensions
        What is asked; ``by`` of the request replaces the dimensions.
    order
        Measure that the rows are sorted by, the greatest first; empty for the order of the dimensions.
    granularity
        Default of the request's.
    filters
        Conditions (field, operator, value …) besides the request's.
    """

    name: str
    summary: str
    measures: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    order: str = ""
    granularity: str | None = None
    filters: tuple[tuple[str, ...], ...] = ()


ANALYTICS: Final[tuple[Analysis, ...]] = (
    Analysis(
        "trends",
        "Traffic, errors, latency, tokens and cost over time",
        ("requests", "errors", "error_rate", "latency_p50", "latency_p95", "total_tokens", "cost_usd", "users"),
        granularity="auto",
    ),
    Analysis(
        "compare-models",
        "Models side by side: traffic, quality of service, speed and cost",
        (
            *("requests", "error_rate", "latency_p50", "latency_p95", "ttft_p50", "ttft_p95", "tokens_per_second"),
            *("total_tokens", "cache_hit_rate", "cost_usd", "cost_per_request", "unpriced_requests"),
        ),
        ("model", "provider"),
        "requests",
    ),
    Analysis(
        "costs",
        "What is spent, and on what",
        ("cost_usd", "cost_per_request", "requests", "total_tokens", "unpriced_requests"),
        ("model",),
        "cost_usd",
    ),
    Analysis(
        "tokens",
        "Tokens by model, with what the provider's cache and reasoning took",
        (
            *("total_tokens", "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens"),
            *("reasoning_output_tokens", "cache_hit_rate", "tokens_per_request"),
        ),
        ("model",),
        "total_tokens",
    ),
    Analysis(
        "errors",
        "What goes wrong, by kind and model",
        ("errors", "latency_p95"),
        ("error_class", "model"),
        "errors",
        filters=(("status", "eq", "error"),),
    ),
    Analysis(
        "latency",
        "How long requests take",
        (
            *("requests", "latency_avg", "latency_p50", "latency_p90", "latency_p95", "latency_p99"),
            *("ttft_p50", "ttft_p95", "ttft_p99", "tokens_per_second"),
        ),
        ("model",),
        "latency_p95",
    ),
    Analysis(
        "users",
        "Who uses it, and what it costs",
        ("requests", "errors", "total_tokens", "cost_usd"),
        ("user_id",),
        "cost_usd",
        filters=(("user_id", "exists"),),
    ),
    Analysis(
        "sessions",
        "Sessions, the longest first",
        ("requests", "errors", "total_tokens", "cost_usd", "latency_p95"),
        ("session_id", "user_id"),
        "requests",
        filters=(("session_id", "exists"),),
    ),
    Analysis(
        "guardrails",
        "What guardrails saw and stopped",
        ("guardrail_checks", "guardrail_blocks", "guardrail_block_rate", "guardrail_flag_rate"),
        ("name",),
        "guardrail_checks",
    ),
    Analysis(
        "retrieval",
        "How well retrieval finds",
        (
            "retrievals",
            "retrieval_hit_rate",
            "retrieval_returned_avg",
            "retrieval_score_avg",
            "latency_p95",
            "error_rate",
        ),
        ("index",),
        "retrievals",
    ),
    Analysis(
        "serving",
        "Serving workers: queues, memory, speed",
        (
            *("queue_depth_avg", "running_avg", "kv_cache_usage_avg", "gpu_utilization_avg"),
            "generation_tokens_per_s_avg",
        ),
        ("worker", "model"),
    ),
    Analysis(
        "evaluations",
        "Scores of evaluators",
        ("evaluations", "evaluation_score_avg", "evaluation_pass_rate"),
        ("evaluator",),
        "evaluations",
    ),
    Analysis(
        "feedback", "What users think", ("feedbacks", "feedback_avg", "feedback_up_rate"), ("project",), "feedbacks"
    ),
    Analysis(
        "deployments",
        "What went live or back",
        ("deployments",),
        ("name", "version", "action", "service"),
        "deployments",
    ),
)
