"""Guardrails: the verdict of each policy on what goes in and out of a model."""

from typing import Final

from ingest.adapters.form import SECONDS, Adapter, Form, words

ADAPTER: Final = Adapter(
    "guardrails",
    {
        "1": Form(
            "guardrail.check",
            "guardrails",
            {
                "policy.name": "data.policy",
                "policy.category": "data.category",
                "policy.threshold": "data.threshold",
                "decision": (
                    "data.verdict",
                    words(allow="pass", warn="flag", deny="block", mask="redact"),
                ),
                "phase": ("data.stage", words(prompt="input", completion="output", tool="tool")),
                "score": "data.score",
                "latency_s": ("data.duration_ms", SECONDS),
            },
        )
    },
)
