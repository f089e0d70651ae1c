"""Send the events of an LLM application to an LLM Analytics Hub.

::

    hub = llm_hub.Client(url="http://127.0.0.1:8080", key="lh_…", source="gateway", project="support-bot")
    with hub.span("answer", kind="chain", user_id="u-1"):
        hub.capture("llm.request", {"model": "gpt-4o", "input_tokens": 812, "output_tokens": 96})
"""

from llm_hub.client import Client
from llm_hub.context import context
from llm_hub.default import get_client, set_client
from llm_hub.observing import observe
from llm_hub.options import Options
from llm_hub.propagation import extract, inject
from llm_hub.spans import Span

__all__ = [
    "Client",
    "Options",
    "Span",
    "context",
    "extract",
    "get_client",
    "inject",
    "observe",
    "set_client",
]
__version__ = "0.1.0"
