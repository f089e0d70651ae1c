"""OpenTelemetry's own examples, and every attribute of its conventions for generative AI."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingest.otlp import meanings
from tests.ingest.otlp.written import ENDED, decode, events, one, span, traces

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def folder(bench_data: Path) -> Path:
    found = bench_data / "otlp_genai"
    if not found.is_dir():
        pytest.skip(f"no recorded OTLP at {found}: set LLM_HUB_BENCH_DATA")
    return found


def example(folder: Path, name: str) -> dict[str, Any]:
    """An example, moved to now."""
    text = (folder / "otlp_json_examples" / f"{name}.json").read_text()
    return dict(
        orjson.loads(re.sub(r"15447126\d{11}", lambda match: str(int(match[0]) - 1544712661000000000 + ENDED), text))
    )


def test_the_example_of_a_trace(folder: Path) -> None:
    event = one(example(folder, "trace"))
    assert event["type"] == "span"
    assert event["data"] == {
        "name": "I'm a server span",
        "kind": "server",
        "service": "my.service",
        "duration_ms": 1000.0,
        "status": "ok",
    }
    assert event["attributes"]["my.span.attr"] == "some value"
    assert event["attributes"]["otel.scope.version"] == "1.0.0"
    assert event["attributes"]["my.scope.attribute"] == "some scope attribute"
    assert event["parent_span_id"] == "eee19b7ec3c1b173"


def test_the_examples_of_logs(folder: Path) -> None:
    line = one(example(folder, "logs"))
    assert (line["type"], line["body"]) == ("log.record", {"body": "Example log record"})
    assert line["data"]["severity"] == "info"
    assert line["attributes"]["array.attribute"] == '["many","values"]'
    structured = one(example(folder, "events"))
    assert structured["body"]["body"]["title"] == "Free Online GUID Generator"
    assert structured["attributes"]["event.name"] == "browser.page_view"


def test_the_examples_of_metrics(folder: Path) -> None:
    for plain in (True, False):
        found = {
            event["data"]["name"]: event["data"] for event in events(decode(example(folder, "metrics"), plain=plain))
        }
        assert {name: data["value"] for name, data in found.items()} == {
            "my.counter": 5.0,
            "my.gauge": 10.0,
            "my.histogram": 1.0,
            "my.exponential.histogram": 10 / 3,
        }
        assert found["my.exponential.histogram"]["bounds"] == [2.0, 4.0, 8.0]


def test_the_examples_as_they_are_are_older_than_the_retention(folder: Path) -> None:
    body = orjson.loads((folder / "otlp_json_examples" / "trace.json").read_bytes())
    (row,) = decode(body).rejected
    assert row.field == "time"
    assert "retention" in row.reason


def conventions(folder: Path, *names: str) -> list[str]:
    found = [(folder / "semconv_v1.41.0" / "model" / name).read_text() for name in names]
    return re.findall(r"- id: (gen_ai\.[a-z_.]+)\n\s+(?:type|stability|value)", "\n".join(found))


def test_no_attribute_of_the_conventions_is_lost(folder: Path) -> None:
    """What is no field is an attribute or a content."""
    known = conventions(folder, "registry.yaml", "deprecated/registry-deprecated.yaml")
    assert len(known) > 40
    for name in known:
        value = "chat" if name == "gen_ai.operation.name" else 7
        event = one(traces(span(1, {"gen_ai.request.model": "m", name: value})))
        assert str(value) in str({**event, "id": ""}) or name in ("gen_ai.system", "gen_ai.provider.name"), name


def test_usage_of_every_generation_is_read(folder: Path) -> None:
    known = conventions(folder, "registry.yaml", "deprecated/registry-deprecated.yaml")
    usage = [name for name in known if name.startswith("gen_ai.usage.")]
    assert len(usage) >= 7
    assert not [name for name in usage if name not in meanings.FIELDS]
