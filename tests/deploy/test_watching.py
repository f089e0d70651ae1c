"""Rules, their runbook and the dashboards: they parse, and every series and label they name exists."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from core.metrics import Metrics, exposed

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
#: Name → labels, as they are on the page; what Prometheus adds is there for all.
SERIES: dict[str, set[str]] = {"up": set()}
for one in exposed(Metrics()):
    suffixes = ("_bucket", "_sum", "_count") if one.kind == "histogram" else ("",)
    SERIES |= {one.name + suffix: {*one.labels, *(["le"] if suffix == "_bucket" else [])} for suffix in suffixes}
ADDED = {"instance", "job"}


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in DASHBOARDS:
        for panel in json.loads(file.read_text())["panels"]:
            yield file.stem, panel


def selectors(expression: str) -> list[Any]:
    """The selectors of an expression; raises where it is none."""
    found: list[Any] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found


def check(expression: str) -> None:
    """Every series is there, with every label it is asked for."""
    some = selectors(expression)
    assert some, expression
    for selector in some:
        assert selector.name in SERIES, f"{selector.name} is no metric of the hub: {expression}"
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= SERIES[selector.name] | ADDED, f"{selector.name} has no {asked - SERIES[selector.name]}"
    grouped = {
        label.strip() for part in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression) for label in part.split(",")
    }
    known = set().union(*(SERIES[selector.name] for selector in some)) | ADDED
    assert grouped <= known, f"{grouped - known} in {expression}"


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: str(rule["alert"]))
def test_every_alert_names_what_there_is_and_says_what_to_do(rule: dict[str, Any]) -> None:
    check(rule["expr"])
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"
    for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
        assert label in rule["expr"] or label in ADDED | {"what", "part", "partition"}, label


def test_the_runbook_has_every_alert_and_names_what_there_is() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert re.findall(r"^## (\w+)$", RUNBOOK, re.MULTILINE) == names
    entries = re.split(r"^## \w+$", RUNBOOK, flags=re.MULTILINE)[1:]
    assert all(len(entry.split()) > 12 for entry in entries)
    for anchor in re.findall(r"\(#(\w+)\)", RUNBOOK):
        assert anchor in {name.lower() for name in names}
    for name in re.findall(r"\bllm_hub_\w+", RUNBOOK):
        assert any(series.startswith(name) for series in SERIES), name


def test_settings_and_paths_of_the_runbook_exist() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text()
    for name in re.findall(r"`(LLM_HUB_\w+)", RUNBOOK):
        assert f"`{name}`" in settings, name


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_every_dashboard_shows_what_there_is(file: Path) -> None:
    board = json.loads(file.read_text())
    assert board["uid"] == f"llm-hub-{file.stem}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    places: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not mine & places, panel["title"]
        places |= mine
        assert panel["targets"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}"
            check(target["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*"))
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label in target["expr"] or label == "instance" or label in LABELS_OF_ALL, target


LABELS_OF_ALL = set().union(*SERIES.values())


def test_the_five_boards_are_there_and_show_most_metrics() -> None:
    assert [file.stem for file in DASHBOARDS] == ["ingest", "overview", "questions", "streams", "warehouse"]
    shown = " ".join(target["expr"] for _, panel in panels() for target in panel["targets"]) + RULES.read_text()
    hidden = {one.name for one in exposed(Metrics()) if not re.search(rf"\b{one.name}(_bucket|_sum|_count)?\b", shown)}
    hidden = {name for name in hidden if not name.startswith("process_")}
    assert len(hidden) <= len(SERIES) // 10, sorted(hidden)


def test_what_is_wrong_is_found() -> None:
    for wrong in ("llm_hub_nothing > 0", 'llm_hub_part_ok{prt="x"} == 0', "sum by (tenant) (llm_hub_part_ok)"):
        with pytest.raises(AssertionError):
            check(wrong)
    with pytest.raises(ValueError):
        check("sum(llm_hub_part_ok")


@pytest.mark.parametrize("arguments", [("check", "rules", "rules.yml"), ("test", "rules", "rules.test.yml")])
def test_prometheus_takes_the_rules_and_their_examples(arguments: tuple[str, ...]) -> None:
    promtool = os.environ.get("LLM_HUB_TEST_PROMTOOL") or shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool: install Debian's prometheus, or set LLM_HUB_TEST_PROMTOOL")
    done = subprocess.run([promtool, *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
