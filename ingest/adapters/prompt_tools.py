"""Prompt tools: enhancements and other steps of their users, intents, experiments."""

from typing import Final

from ingest.adapters.form import Adapter, Choice, Form

_ENHANCEMENT: Final = Form(
    "product.event",
    "prompt-tools",
    {
        "prompt": "data.input_messages",
        "enhanced_prompt": "data.output_messages",
        "metrics": "data.properties",
    },
    {"name": "prompt.enhanced"},
)
_INTENT: Final = Form(
    "evaluation.score",
    "prompt-tools",
    {
        "prompt": "data.input_messages",
        "predicted": "data.label",
        "confidence": "data.score",
        "expected": "data.expected",
        "correct": "data.passed",
    },
    {"evaluator": "intent", "kind": "reference", "scale_min": 0, "scale_max": 1},
)
_STEP: Final = Form(
    "product.event",
    "prompt-tools",
    {"step": "data.name", "properties": "data.properties", "revenue_usd": "data.revenue_usd"},
)
_EXPOSURE: Final = Form(
    "experiment.exposure",
    "prompt-tools",
    {"experiment": "data.experiment_id", "arm": "data.variant", "unit": "data.unit_id"},
)

ADAPTER: Final = Adapter(
    "prompt-tools",
    {"1": Choice("kind", {"enhancement": _ENHANCEMENT, "intent": _INTENT, "step": _STEP, "exposure": _EXPOSURE})},
)
