"""The adapters: one file a module, and this explicit list of them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from ingest.adapters import (
    audit,
    evaluation,
    gateway,
    guardrails,
    litellm,
    marketplace,
    observatory,
    openai,
    prompt_tools,
    registry,
    retrieval,
    serving,
)
from ingest.adapters.form import Adapter, Choice, Form

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
    openai.ADAPTER,
    litellm.ADAPTER,
)

#: Module → its adapter.
MODULES: Final[Mapping[str, Adapter]] = MappingProxyType({adapter.module: adapter for adapter in ADAPTERS})


def writer_of(event: Mapping[str, Any]) -> tuple[str, Form | Choice]:
    """The module that would send an event, and the newest form of its rows; the event's own ``source`` comes first.

    Raises
    ------
    LookupError
        No module sends events of this type.
    """
    own = MODULES.get(event["source"])
    for adapter in (own, *ADAPTERS) if own else ADAPTERS:
        form = adapter.versions[adapter.newest]
        if isinstance(form, Form | Choice) and form.fits(event):
            return adapter.module, form
    raise LookupError(f"no module sends {event['type']}")
