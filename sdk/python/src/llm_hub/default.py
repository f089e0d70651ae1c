"""The client that decorators and instrumentation use: the first that is still open, or one of the environment."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_hub.client import Client

_default: "Client | None" = None


def get_client() -> "Client":
    """The default client; made from ``LLM_HUB_URL`` and ``LLM_HUB_KEY`` if there is none."""
    if _default is not None:
        return _default
    from llm_hub.client import Client  # it imports this module

    return Client()


def set_client(client: "Client | None") -> "Client | None":
    """Make ``client`` the default; gives the one before."""
    global _default  # one a process is what it is
    before, _default = _default, client
    return before


def offer(client: "Client") -> None:
    """Take ``client`` if there is no default."""
    if _default is None:
        set_client(client)


def withdraw(client: "Client") -> None:
    """``client`` is closed."""
    if _default is client:
        set_client(None)
