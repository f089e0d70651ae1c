"""A stub hub, clients of it, and a client in memory."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from llm_hub import Client, Options
from llm_hub.pytest_plugin import llm_hub_client
from tests.sdk.stub import StubHub, stub_hub

__all__ = ["llm_hub_client"]

QUICK = Options(interval=10.0, backoff=0.01, backoff_most=0.05, timeout=5.0)


@pytest.fixture
def stub() -> Iterator[StubHub]:
    with stub_hub() as stub:
        yield stub


MakeClient = Callable[..., Client]


@pytest.fixture
def client_of(stub: StubHub, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeClient]:
    """Makes clients of the stub, closed in the end; keywords are fields of the options, or of the client."""
    made: list[Client] = []

    def make(**given: Any) -> Client:
        options = {name: given.pop(name) for name in list(given) if name in Options._fields}
        given = {"source": "test", "url": stub.url, "key": "lh_test", **given}
        made.append(Client(options=QUICK._replace(**options), **given))
        return made[-1]

    yield make
    for client in made:
        client.close(timeout=1.0)


@pytest.fixture
def client(client_of: MakeClient) -> Client:
    return client_of()
