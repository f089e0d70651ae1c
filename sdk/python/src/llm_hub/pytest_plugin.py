"""The fixture ``llm_hub_client``, found by pytest where the SDK is installed."""

from collections.abc import Iterator

import pytest

from llm_hub.default import set_client
from llm_hub.testing import MemoryClient


@pytest.fixture
def llm_hub_client() -> Iterator[MemoryClient]:
    """A :class:`llm_hub.testing.MemoryClient` that is the default client for the length of a test."""
    client = MemoryClient(source="test")
    before = set_client(client)
    yield client
    client.close()
    set_client(before)
