"""Every test begins with a door that has seen nothing."""

import pytest

from ingest.otlp import spans
from ingest.otlp.waiting import Waiting


@pytest.fixture(autouse=True)
def nothing_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_WAITING", Waiting())
