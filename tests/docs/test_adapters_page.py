"""The page of adapters tells the forms as they are, and its recipes work."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.common import Hub
from tests.docs.adapters_page import PAGE, page

_RECIPE = re.compile(r"^```sh( expect=rejected)?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page()


@pytest.mark.slow
def test_recipes_work(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl on this machine")
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start()
    environment = {**os.environ, "LLM_HUB_URL": hub.url, "LLM_HUB_KEY": hub.key, "no_proxy": "127.0.0.1"}
    try:
        recipes = _RECIPE.findall(PAGE.read_text())
        assert len(recipes) > 12
        for wrong, recipe in recipes:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", recipe],
                env=environment,
                capture_output=True,
                check=False,
                timeout=60,
            )
            answer = json.loads(done.stdout)
            assert done.returncode == 0
            assert bool(answer["rejected"]) == bool(wrong), (recipe, answer)
            assert bool(answer["accepted"]) != bool(wrong), (recipe, answer)
    finally:
        hub.kill()
