"""Send the events of an LLM application to an LLM Analytics Hub.

::

    hub = llm_hub.Client(url="http://127.0.0.1:8080", key="lh_…", source="gateway", project="support-bot")
    with hub.span("answer", kind="chain", user_id="u-1"):
        hub.capture("llm.request", {"model": "gpt-4o", "input_tokens": 812, "output_tokens": 96})
"""

from typing import TYPE_CHECKING, Any

from llm_hub.client import Client
from llm_hub.context import context
from llm_hub.default import get_client, set_client
from llm_hub.observing import observe
from llm_hub.options import Options
from llm_hub.propagation import extract, inject
from llm_hub.spans import Span

if TYPE_CHECKING:
    from llm_hub.instrument.langchain import HubCallbackHandler

__all__ = [
    "Client",
    "Options",
    "Span",
    "context",
    "extract",
    "get_client",
    "inject",
    "instrument_anthropic",
    "instrument_openai",
    "langchain_handler",
    "observe",
    "set_client",
    "uninstrument_anthropic",
    "uninstrument_openai",
]
__version__ = "0.1.0"


def instrument_openai(**options: Any) -> None:
    """Capture every call of the ``openai`` package; see :func:`llm_hub.instrument.openai.instrument`."""
    from llm_hub.instrument import openai  # only for those who have it

    openai.instrument(**options)


def uninstrument_openai() -> None:
    """Restore the ``openai`` package exactly."""
    from llm_hub.instrument import openai

    openai.uninstrument()


def instrument_anthropic(**options: Any) -> None:
    """Capture every call of the ``anthropic`` package; see :func:`llm_hub.instrument.anthropic.instrument`."""
    from llm_hub.instrument import anthropic

    anthropic.instrument(**options)


def uninstrument_anthropic() -> None:
    """Restore the ``anthropic`` package exactly."""
    from llm_hub.instrument import anthropic

    anthropic.uninstrument()


def langchain_handler(client: Client | None = None) -> "HubCallbackHandler":
    """A callback handler for LangChain; see :class:`llm_hub.instrument.langchain.HubCallbackHandler`."""
    from llm_hub.instrument.langchain import HubCallbackHandler  # only for those who have it

    return HubCallbackHandler(client)
