"""The observatory: spans, tool calls, agent runs, logs, metrics and jobs."""

from collections.abc import Mapping
from typing import Final

from ingest.adapters.form import Adapter, Choice, Form, Target, words

_STATUS: Final = words(OK="ok", UNSET="ok", ERROR="error")
_WORK: Final[Mapping[str, Target]] = {
    "duration_ms": "data.duration_ms",
    "status.code": ("data.status", _STATUS),
    "status.type": "data.error_type",
}

_SPAN: Final = Form(
    "span",
    "observatory",
    {
        "name": "data.name",
        "span_kind": "data.kind",
        "service": "data.service",
        "duration_ms": "data.duration_ms",
        "status.code": ("data.status", _STATUS),
        "status.message": "data.status_message",
        "events": "data.events",
        "links": "data.links",
    },
)
_TOOL: Final = Form(
    "tool.call",
    "observatory",
    {
        **_WORK,
        "tool.name": "data.tool_name",
        "tool.call_id": "data.tool_call_id",
        "tool.arguments": "data.arguments",
        "tool.result": "data.result",
    },
)
_AGENT: Final = Form(
    "agent.run",
    "observatory",
    {
        **_WORK,
        "agent.name": "data.agent_name",
        "agent.id": "data.agent_id",
        "counts.steps": "data.steps",
        "counts.llm_calls": "data.llm_calls",
        "counts.tool_calls": "data.tool_calls",
        "counts.input_tokens": "data.input_tokens",
        "counts.output_tokens": "data.output_tokens",
    },
)
_LOG: Final = Form(
    "log.record",
    "observatory",
    {
        "message": "data.body",
        "level": (
            "data.severity",
            words(
                TRACE="trace",
                DEBUG="debug",
                INFO="info",
                WARN="warn",
                WARNING="warn",
                ERROR="error",
                FATAL="fatal",
                CRITICAL="fatal",
            ),
        ),
        "logger": "data.logger",
        "service": "data.service",
    },
)
_METRIC: Final = Form(
    "metric.sample",
    "observatory",
    {
        "metric": "data.name",
        "value": "data.value",
        "unit": "data.unit",
        "metric_kind": "data.kind",
        "temporality": "data.temporality",
        "histogram.count": "data.count",
        "histogram.sum": "data.sum",
        "histogram.bounds": "data.bounds",
        "histogram.counts": "data.bucket_counts",
        "service": "data.service",
    },
)
_JOB: Final = Form(
    "job.run",
    "observatory",
    {
        "job": "data.job",
        "state": "data.state",
        "pipeline": "data.pipeline",
        "attempt": "data.attempt",
        "rows": "data.rows",
        "duration_ms": "data.duration_ms",
        "error": "data.error_type",
    },
)

ADAPTER: Final = Adapter(
    "observatory",
    {"1": Choice("kind", {"span": _SPAN, "tool": _TOOL, "agent": _AGENT, "log": _LOG, "metric": _METRIC, "job": _JOB})},
)
