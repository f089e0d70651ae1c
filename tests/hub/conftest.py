"""What the tests of the hub share."""

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.logs import _QUIET
from tests.hub.running import served


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have a hub of their own."""
    for name in ("LLM_HUB_URL", "LLM_HUB_KEY", "LLM_HUB_CONFIG", "LLM_HUB_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _log_of_one_test() -> Iterator[None]:
    """A test that starts a process's log sends it to the standard error of that test alone."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    levels = {name: logging.getLogger(name).level for name in _QUIET}
    yield
    for name, quiet in levels.items():
        logging.getLogger(name).setLevel(quiet)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


@pytest.fixture(scope="module")
def running_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a hub that runs while the tests of a module do."""
    folder = tmp_path_factory.mktemp("running") / "data"
    with served(folder):
        yield folder
