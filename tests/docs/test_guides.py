"""The examples of the guides run, from top to bottom, against a fresh hub."""

import re
from pathlib import Path

import httpx
import pytest

from benchmarks.common import Hub

DOCS = Path(__file__).resolve().parents[2] / "docs"
GRPC = {"LLM_HUB_OTLP_GRPC": "on", "LLM_HUB_OTLP_GRPC_PORT": "0"}
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[tuple[int, str]]:
    """``(line, code)`` of every Python block of a page."""
    text = (DOCS / page).read_text()
    return [(text[: match.start(1)].count("\n"), match.group(1)) for match in _BLOCK.finditer(text)]


def grpc_address(hub: Hub) -> str:
    """Where the hub takes OTLP over gRPC, as it says itself."""
    return str(httpx.get(f"{hub.url}/health/ready", trust_env=False).json()["checks"]["otlp_grpc"]["detail"])


@pytest.mark.slow
@pytest.mark.parametrize("page", ["user-guide.md", "developer-guide.md", "sdk.md"])
def test_examples_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = blocks(page)
    assert found
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder, GRPC)
    namespace: dict[str, object] = {}
    hub.start()
    try:
        monkeypatch.setenv("LLM_HUB_URL", hub.url)
        monkeypatch.setenv("LLM_HUB_KEY", hub.key)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://{grpc_address(hub)}")
        monkeypatch.chdir(tmp_path)
        for line, code in found:
            exec(compile("\n" * line + code, str(DOCS / page), "exec"), namespace)
    finally:
        hub.kill()
        for value in namespace.values():
            if isinstance(value, httpx.Client):
                value.close()
