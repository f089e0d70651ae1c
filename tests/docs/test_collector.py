"""The Collector's configurations in the guide reach the doors: with their addresses and headers, as it would send."""

import os
import re
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import yaml

from benchmarks.common import Hub
from tests.docs.test_guides import DOCS, GRPC, grpc_address
from tests.ingest.grpc.test_door import LOGS, METRICS, TRACES

_YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_METHODS = {"traces": TRACES, "logs": LOGS, "metrics": METRICS}


def configurations() -> list[dict[str, Any]]:
    """The guide's blocks, with the environment put in as the Collector does."""
    found = _YAML.findall((DOCS / "user-guide.md").read_text())
    filled = (re.sub(r"\$\{env:(\w+)\}", lambda match: os.environ[match[1]], text) for text in found)
    return [yaml.safe_load(text) for text in filled]


@pytest.mark.slow
def test_configurations_of_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder, GRPC)
    hub.start()
    monkeypatch.setenv("LLM_HUB_KEY", hub.key)
    try:
        sent = []
        for configuration in configurations():
            exporters = configuration["exporters"]
            for signal, pipeline in configuration["service"]["pipelines"].items():
                (name,) = pipeline["exporters"]
                sent.append((name.partition("/")[0], signal))
                exporter = exporters[name]
                headers = exporter["headers"]
                if name.startswith("otlphttp"):
                    assert exporter["endpoint"] == "http://127.0.0.1:8080"
                    path = {"content-type": "application/x-protobuf", **headers}
                    answer = httpx.post(f"{hub.url}/v1/{signal}", content=b"", headers=path, trust_env=False)
                    assert answer.status_code == 200, answer.text
                    continue
                assert exporter["endpoint"] == "127.0.0.1:4317"
                assert exporter["tls"]["insecure"] is True
                with grpc.insecure_channel(grpc_address(hub)) as channel:
                    metadata = [(key.lower(), value) for key, value in headers.items()]
                    assert channel.unary_unary(_METHODS[signal])(b"", metadata=metadata, timeout=60) == b""
        assert set(sent) >= {("otlphttp", "traces"), ("otlphttp", "logs"), ("otlphttp", "metrics"), ("otlp", "traces")}
    finally:
        hub.kill()
