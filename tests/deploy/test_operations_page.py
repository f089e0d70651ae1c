"""docs/OPERATIONS.md names what there is."""

import re

import yaml

from hub.cli import COMMANDS
from hub.settings import Settings
from tests.deploy.conftest import DEPLOY, ROOT

PAGE = (ROOT / "docs" / "OPERATIONS.md").read_text()


def test_settings_exist() -> None:
    names = set(re.findall(r"LLM_HUB_([A-Z_]+[A-Z])", PAGE))
    assert names
    assert {name.lower() for name in names} <= Settings.model_fields.keys()


def test_files_and_commands_exist() -> None:
    named = set(re.findall(r"(?<!exec )\bdeploy/[\w./-]*\w", PAGE))
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert set(re.findall(r"`?llm-hub ([a-z]+)\b", PAGE)) <= COMMANDS.keys()
    examples = set(re.findall(r"\bvalues-[a-z-]+\.yaml", PAGE))
    assert all((DEPLOY / "helm" / "llm-analytics-hub" / "examples" / name).exists() for name in examples)
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def test_defaults_are_those_of_the_chart_and_the_hub() -> None:
    values = yaml.safe_load((DEPLOY / "helm" / "llm-analytics-hub" / "values.yaml").read_text())
    assert f"`terminationGracePeriodSeconds` is {values['terminationGracePeriodSeconds']}" in PAGE
    assert f"`LLM_HUB_DRAIN_S` ({values['drainSeconds']} s here)" in PAGE
    assert f"(KEDA, {values['roles']['streams']['autoscaling']['records']} records" in PAGE
    session, kept = (Settings.model_fields[name].default for name in ("session_timeout_s", "log_retention_hours"))
    assert f"`LLM_HUB_SESSION_TIMEOUT_S` ({session:.0f} s)" in PAGE
    assert f"`LLM_HUB_LOG_RETENTION_HOURS` ({kept:.0f})" in PAGE
