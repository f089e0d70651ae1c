"""A real hub in a process of its own, started with the real command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.common import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start()
    yield hub
    hub.kill()
