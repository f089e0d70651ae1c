"""The page of adapters tells the forms as they are, and its recipes work."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import pytest

from benchmarks.common import Hub
from hub.settings import load
from ingest.scrape.targets import parse_targets
from tests.docs.adapters_page import PAGE, page

_RECIPE = re.compile(r"^```sh(?: expect=(\w+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def variables(name: str, given: dict[str, str]) -> dict[str, str]:
    """The environment that a block of the page exports, from ``given``."""
    (block,) = re.findall(rf"^```sh env={name}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    bash = ["bash", "-euo", "pipefail", "-c", f"{block}\nenv -0"]
    done = subprocess.run(bash, env={"PATH": os.environ["PATH"], **given}, capture_output=True, check=True, text=True)
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if line)
    return {name: value for name, value in found.items() if name.startswith(("OTEL_", "LANGFUSE_", "LLM_HUB_SCRAPE_"))}


#: Sends one span with nothing but the environment.
_SENDER = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
with provider.get_tracer("page").start_as_current_span("chat", attributes={"gen_ai.operation.name": "chat"}):
    pass
provider.shutdown()
"""


@pytest.mark.slow
def test_exporters_of_others_need_only_the_variables(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start()
    try:
        given = {"LLM_HUB_URL": hub.url, "LLM_HUB_KEY": hub.key}
        for name in ("opik", "posthog", "mlflow"):
            environment = {**os.environ, **variables(name, given), "NO_PROXY": "127.0.0.1"}
            subprocess.run([sys.executable, "-c", _SENDER], env=environment, check=True, timeout=60)
        question = {"measures": ["requests"], "dimensions": ["project"], "time": {"from": "now-1h", "to": "now+1h"}}
        until, found = time.monotonic() + 60, dict[Any, int]()
        while sum(found.values()) < 3 and time.monotonic() < until:
            found = dict(hub.ask(question)["rows"])
        assert found == {"bots": 1, None: 1, "7": 1}
    finally:
        hub.kill()


def test_workers_to_be_scraped() -> None:
    settings = load(environ=variables("scrape", {}))
    targets = [(one.tenant, one.url) for one in parse_targets(settings.scrape_targets)]
    assert targets == [("default", "http://127.0.0.1:8000/metrics"), ("acme", "http://10.0.0.5:8000/metrics")]
    assert settings.scrape_interval_s == 15


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page()


def call_back(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the callback of LiteLLM as LiteLLM would, without LiteLLM."""
    stub = types.ModuleType("litellm.integrations.custom_logger")
    stub.CustomLogger = object  # type: ignore[attr-defined]
    for name in ("litellm", "litellm.integrations", stub.__name__):
        monkeypatch.setitem(sys.modules, name, stub)
    for name, value in (("LLM_HUB_URL", hub.url), ("LLM_HUB_KEY", hub.key), ("no_proxy", "127.0.0.1")):
        monkeypatch.setenv(name, value)
    ((code,),) = [re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)]
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    before = hub.visible()

    async def send() -> None:
        now = time.time()
        payload = {"model": "gpt-4o", "call_type": "acompletion", "startTime": now - 1, "endTime": now}
        await namespace["hub"].async_log_success_event({"standard_logging_object": payload}, None, None, None)
        namespace["hub"].http.close()

    asyncio.run(send())
    until = time.monotonic() + 60
    while hub.visible() <= before:
        assert time.monotonic() < until


@pytest.mark.slow
def test_recipes_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        for expected, recipe in recipes:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", recipe],
                env=environment,
                capture_output=True,
                check=False,
                timeout=60,
            )
            answer = json.loads(done.stdout)
            assert done.returncode == 0
            if expected == "207":
                assert (len(answer["successes"]), answer["errors"]) == (4, []), answer
                continue
            assert bool(answer["rejected"]) == (expected == "rejected"), (recipe, answer)
            assert bool(answer["accepted"]) != (expected == "rejected"), (recipe, answer)
        call_back(hub, monkeypatch)
    finally:
        hub.kill()
