"""The registry: models and their prices, deployments of models, prompts and services."""

from typing import Final

from ingest.adapters.form import Adapter, Choice, Form, words

_MODEL: Final = Form(
    "registry.model",
    "registry",
    {
        "model.name": "data.model",
        "model.provider": "data.provider",
        "model.version": "data.version",
        "model.context_window": "data.context_window",
        "pricing.input_per_mtok": "data.input_price_usd_per_mtok",
        "pricing.output_per_mtok": "data.output_price_usd_per_mtok",
        "change": (
            "data.action",
            words(create="registered", update="updated", deprecate="deprecated", delete="removed"),
        ),
    },
)
_DEPLOYMENT: Final = Form(
    "registry.deployment",
    "registry",
    {
        "artifact.kind": "data.artifact",
        "artifact.name": "data.name",
        "artifact.version": "data.version",
        "artifact.previous_version": "data.previous_version",
        "change": (
            "data.action",
            words(deploy="deployed", promote="promoted", rollback="rolled_back", pause="paused"),
        ),
        "traffic_share": "data.share",
        "service": "data.service",
        "author": "data.author",
    },
)

ADAPTER: Final = Adapter("registry", {"1": Choice("kind", {"model": _MODEL, "deployment": _DEPLOYMENT})})
