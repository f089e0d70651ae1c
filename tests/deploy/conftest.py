"""The libraries of the tools that read deploy/, in one program: of Helm, Compose, BuildKit and Terraform."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"

Check = Callable[..., Any]


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder that ``tests/deploy/install`` filled."""
    folder = os.environ.get("LLM_HUB_TEST_DEPLOY")
    if not folder:
        pytest.skip("run tests/deploy/install FOLDER (needs Go) and set LLM_HUB_TEST_DEPLOY=FOLDER")
    return Path(folder)


@pytest.fixture(scope="session")
def check(tools: Path) -> Check:
    """Ask the program; its answer, or an ``AssertionError`` with what it found wrong."""

    def ask(kind: str, *arguments: str | Path, environ: dict[str, str] | None = None) -> Any:
        done = subprocess.run(
            [tools / "check", kind, *arguments], capture_output=True, text=True, env=os.environ | (environ or {})
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return ask
