"""The audit trail: who did what to what, and whether it was allowed."""

from typing import Final

from ingest.adapters.form import Adapter, Form, words

ADAPTER: Final = Adapter(
    "audit",
    {
        "1": Form(
            "audit.action",
            "audit",
            {
                "actor.id": "data.actor",
                "actor.ip": "data.ip",
                "action": "data.action",
                "resource": "data.resource",
                "result": ("data.outcome", words(allowed="success", denied="denied", failed="failure")),
                "reason": "data.reason",
                "change.before": "data.before",
                "change.after": "data.after",
            },
        )
    },
)
