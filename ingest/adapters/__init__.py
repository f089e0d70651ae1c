"""The adapters: one file a module, and this explicit list of them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from ingest.adapters import (
    audit,
    evaluation,
    gateway,
    guardrails,
    marketplace,
    observatory,
    prompt_tools,
    registry,
    retrieval,
    serving,
)
from ingest.adapters.form import Adapter

#: In the order of the documentation.
ADAPTERS: Final[Sequence[Adapter]] = (
    observatory.ADAPTER,
    registry.ADAPTER,
    audit.ADAPTER,
    guardrails.ADAPTER,
    gateway.ADAPTER,
    marketplace.ADAPTER,
    evaluation.ADAPTER,
    retrieval.ADAPTER,
    serving.ADAPTER,
    prompt_tools.ADAPTER,
)

#: Module → its adapter.
MODULES: Final[Mapping[str, Adapter]] = MappingProxyType({adapter.module: adapter for adapter in ADAPTERS})
