"""What LiteLLM's own callback for OpenTelemetry writes beside the conventions."""

import ast
from collections.abc import Mapping
from typing import Any, Final

from ingest.otlp.dialects.dialect import Dialect

_LONGEST: Final = 4096


def _usage(value: Any) -> Mapping[str, Any]:
    """The usage that the provider reported, which stands there as Python writes it."""
    if not isinstance(value, str) or not value.startswith("{") or len(value) > _LONGEST:
        return {}
    try:
        usage = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    usage = usage if isinstance(usage, dict) else {}
    prompt, completion = (
        part if isinstance(part := usage.get(name), dict) else {}
        for name in ("prompt_tokens_details", "completion_tokens_details")
    )
    return {
        "cache_read_input_tokens": prompt.get("cached_tokens"),
        "cache_write_input_tokens": prompt.get("cache_creation_tokens"),
        "reasoning_output_tokens": completion.get("reasoning_tokens"),
    }


DIALECT: Final = Dialect(
    fields={
        "gen_ai.cost.total_cost": "cost_usd",
        "metadata.user_api_key_end_user_id": "user_id",
    },
    readers={"metadata.usage_object": _usage},
)
