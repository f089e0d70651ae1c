"""Every measure once more, in plain Python over plain dictionaries: what the engine's answers are held against."""

from collections.abc import Callable, Sequence

from tests.semantic.rows import Event

Rows = Sequence[Event]
CALLS = ("llm.request", "llm.embedding")


def of(rows: Rows, *types: str) -> list[Event]:
    return [row for row in rows if row["type"] in types]


def present(rows: Rows, name: str) -> list[float]:
    return [float(row[name]) for row in rows if row.get(name) is not None]


def total(rows: Rows, name: str, *types: str) -> float:
    return sum(present(of(rows, *types) if types else rows, name))


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def quantile(values: Sequence[float], level: float) -> float | None:
    """The value of that rank; the sketch is held to 1% of it and of its neighbours."""
    ordered = sorted(values)
    return ordered[int(level * (len(ordered) - 1))] if ordered else None


def distinct(rows: Rows, name: str) -> int:
    return len({row[name] for row in rows if row.get(name)})


def errors(rows: Rows) -> int:
    return sum(row.get("status") == "error" for row in rows)


def requests(rows: Rows) -> list[Event]:
    return of(rows, "llm.request")


def cost(rows: Rows) -> float | None:
    amount = total(rows, "cost_usd")
    return None if amount == 0 and unpriced(rows) else amount


def unpriced(rows: Rows) -> int:
    return sum(row.get("cost_source") == "unpriced" for row in of(rows, *CALLS))


def verdicts(rows: Rows, *names: str) -> int:
    return sum(row.get("verdict") in names for row in of(rows, "guardrail.check"))


def tokens(rows: Rows) -> float:
    return total(rows, "input_tokens", *CALLS) + total(rows, "output_tokens", *CALLS)


def cost_per_request(rows: Rows) -> float | None:
    return share(total(rows, "cost_usd"), len(requests(rows)))


def _sum(name: str) -> Callable[[Rows], float]:
    return lambda rows: total(rows, name, *CALLS)


def _count(*types: str) -> Callable[[Rows], int]:
    return lambda rows: len(of(rows, *types))


def _mean(name: str, *types: str) -> Callable[[Rows], float | None]:
    return lambda rows: mean(present(of(rows, *types), name))


def _quantile(name: str, level: float) -> Callable[[Rows], float | None]:
    return lambda rows: quantile(present(requests(rows), name), level)


def _distinct(name: str) -> Callable[[Rows], int]:
    return lambda rows: distinct(rows, name)


NAIVE: dict[str, Callable[[Rows], float | None]] = {
    "events": len,
    "requests": _count("llm.request"),
    "errors": lambda rows: errors(requests(rows)),
    "error_rate": lambda rows: share(errors(requests(rows)), len(requests(rows))),
    "input_tokens": _sum("input_tokens"),
    "output_tokens": _sum("output_tokens"),
    "cache_read_input_tokens": _sum("cache_read_input_tokens"),
    "cache_write_input_tokens": _sum("cache_write_input_tokens"),
    "reasoning_output_tokens": _sum("reasoning_output_tokens"),
    "total_tokens": tokens,
    "cost_usd": cost,
    "unpriced_requests": unpriced,
    "latency_avg": _mean("duration_ms", "llm.request"),
    "latency_p50": _quantile("duration_ms", 0.5),
    "latency_p90": _quantile("duration_ms", 0.9),
    "latency_p95": _quantile("duration_ms", 0.95),
    "latency_p999": _quantile("duration_ms", 0.999),
    "ttft_avg": _mean("time_to_first_token_ms", "llm.request"),
    "latency_p99": _quantile("duration_ms", 0.99),
    "ttft_p50": _quantile("time_to_first_token_ms", 0.5),
    "ttft_p90": _quantile("time_to_first_token_ms", 0.9),
    "ttft_p95": _quantile("time_to_first_token_ms", 0.95),
    "ttft_p99": _quantile("time_to_first_token_ms", 0.99),
    "tokens_per_second": _mean("tokens_per_second", "llm.request"),
    "users": _distinct("user_id"),
    "sessions": _distinct("session_id"),
    "traces": _distinct("trace_id"),
    "cost_per_request": cost_per_request,
    "tokens_per_request": lambda rows: share(tokens(rows), len(requests(rows))),
    "cache_hit_rate": lambda rows: share(
        total(rows, "cache_read_input_tokens", *CALLS), total(rows, "input_tokens", *CALLS)
    ),
    "gateway_cache_hit_rate": lambda rows: share(
        sum(bool(row.get("cache_hit")) for row in requests(rows)), len(requests(rows))
    ),
    "rate_limited": _count("gateway.rate_limit"),
    "queue_ms_avg": _mean("queue_ms", "gateway.route"),
    "tool_calls": _count("tool.call"),
    "tool_errors": lambda rows: errors(of(rows, "tool.call")),
    "tool_error_rate": lambda rows: share(errors(of(rows, "tool.call")), len(of(rows, "tool.call"))),
    "agent_runs": _count("agent.run"),
    "guardrail_checks": _count("guardrail.check"),
    "guardrail_blocks": lambda rows: verdicts(rows, "block"),
    "guardrail_block_rate": lambda rows: share(verdicts(rows, "block"), len(of(rows, "guardrail.check"))),
    "guardrail_flag_rate": lambda rows: share(
        verdicts(rows, "flag", "block", "redact"), len(of(rows, "guardrail.check"))
    ),
    "retrievals": _count("retrieval.query"),
    "retrieval_hit_rate": lambda rows: mean([value > 0 for value in present(of(rows, "retrieval.query"), "returned")]),
    "retrieval_returned_avg": _mean("returned", "retrieval.query"),
    "retrieval_score_avg": _mean("max_score", "retrieval.query"),
    "evaluations": _count("evaluation.score"),
    "evaluation_score_avg": _mean("score", "evaluation.score"),
    "evaluation_pass_rate": _mean("passed", "evaluation.score"),
    "feedbacks": _count("feedback.rating"),
    "feedback_avg": _mean("rating", "feedback.rating"),
    "feedback_up_rate": lambda rows: mean(
        [row["label"] == "up" for row in of(rows, "feedback.rating") if row.get("label")]
    ),
    "queue_depth_avg": _mean("queue_depth", "serving.sample"),
    "running_avg": _mean("running", "serving.sample"),
    "kv_cache_usage_avg": _mean("kv_cache_usage", "serving.sample"),
    "gpu_utilization_avg": _mean("gpu_utilization", "serving.sample"),
    "generation_tokens_per_s_avg": _mean("generation_tokens_per_s", "serving.sample"),
    "deployments": _count("registry.deployment"),
    "job_failure_rate": lambda rows: mean(
        [row["state"] == "failed" for row in of(rows, "job.run") if row["state"] in ("failed", "succeeded")]
    ),
    "value_avg": _mean("value", "metric.sample"),
    "revenue_usd": lambda rows: total(rows, "revenue_usd"),
}
