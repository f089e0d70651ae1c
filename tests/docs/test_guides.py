"""The examples of the guides run, from top to bottom, against a fresh hub."""

import re
from pathlib import Path

import httpx
import pytest

from benchmarks.common import Hub

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[int, str]]:
    """``(line, code)`` of every Python block of a page."""
    text = (DOCS / page).read_text()
    return [(text[: match.start(1)].count("\n"), match.group(1)) for match in _BLOCK.finditer(text)]


@pytest.mark.slow
@pytest.mark.parametrize("page", ["user-guide.md", "developer-guide.md", "sdk.md"])
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(page)
    assert found
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder)
    namespace: dict[str, object] = {}
    hub.start()
    try:
        monkeypatch.setenv("LLM_HUB_URL", hub.url)
        monkeypatch.setenv("LLM_HUB_KEY", hub.key)
        monkeypatch.chdir(tmp_path)
        for line, code in found:
            exec(compile("\n" * line + code, str(DOCS / page), "exec"), namespace)
    finally:
        hub.kill()
        for value in namespace.values():
            if isinstance(value, httpx.Client):
                value.close()
