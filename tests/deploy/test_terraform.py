"""The Terraform modules: canonical form, and every reference leads to something.

Providers cannot be fetched here, so nothing is said about whether a resource takes an argument.
"""

from typing import Any

import pytest
import yaml

from hub.settings import Settings
from tests.deploy.conftest import DEPLOY, Check

TERRAFORM = DEPLOY / "terraform"
CLOUDS = ("aws", "azure", "gcp")
MODULES = ("hub", *CLOUDS)
CHART = DEPLOY / "helm" / "llm-analytics-hub"

#: Names that Terraform itself has.
_BUILT_IN = {"each", "path", "count", "self", "terraform"}


@pytest.fixture(scope="module")
def modules(check: Check) -> dict[str, Any]:
    return {name: check("terraform", TERRAFORM / name) for name in MODULES}


def of_type(module: Any, kind: str) -> list[Any]:
    return [block for block in module["blocks"] if block["type"] == kind]


def labels(module: Any, kind: str) -> set[str]:
    return {block["labels"][0] for block in of_type(module, kind)}


def inner(block: Any, kind: str) -> Any:
    return next(one for one in block["blocks"] if one["type"] == kind)


@pytest.mark.parametrize("name", MODULES)
def test_it_is_formatted(modules: dict[str, Any], name: str) -> None:
    assert not modules[name]["unformatted"]


@pytest.mark.parametrize("name", MODULES)
def test_every_reference_leads_to_something(modules: dict[str, Any], name: str) -> None:
    module = modules[name]
    local = {one for block in of_type(module, "locals") for one in block["attributes"]}
    there = {f"var.{one}" for one in labels(module, "variable")} | {f"local.{one}" for one in local}
    there |= {f"module.{one}" for one in labels(module, "module")}
    there |= {".".join(block["labels"]) for block in of_type(module, "resource")}
    there |= {".".join(["data", *block["labels"]]) for block in of_type(module, "data")}
    for reference in module["references"]:
        parts = reference.split(".")
        if len(parts) == 1 or parts[0] in _BUILT_IN:
            continue  # a name of a `for`, or of `ignore_changes`
        steps = 3 if parts[0] == "data" else 2
        assert ".".join(parts[:steps]) in there, reference


@pytest.mark.parametrize("name", MODULES)
def test_every_variable_is_described_typed_and_used(modules: dict[str, Any], name: str) -> None:
    for block in of_type(modules[name], "variable"):
        assert {"description", "type"} <= set(block["attributes"]), block["labels"]
        uses = [one for one in modules[name]["references"] if one.split(".")[:2] == ["var", block["labels"][0]]]
        assert uses, block["labels"]
    for block in of_type(modules[name], "output"):
        assert {"description", "value"} <= set(block["attributes"])


@pytest.mark.parametrize("name", MODULES)
def test_providers_are_named_with_their_versions(modules: dict[str, Any], name: str) -> None:
    (terraform,) = of_type(modules[name], "terraform")
    assert "required_version" in terraform["attributes"]
    required = set(inner(terraform, "required_providers")["attributes"])
    used = {
        block["labels"][0].split("_")[0] for block in modules[name]["blocks"] if block["type"] in ("resource", "data")
    }
    assert used == required - ({"helm"} if name in CLOUDS else set())
    assert labels(modules[name], "provider") | {"random"} >= (required if name in CLOUDS else set())


@pytest.mark.parametrize("name", CLOUDS)
def test_clouds_give_the_chart_what_it_needs(modules: dict[str, Any], name: str) -> None:
    (module,) = of_type(modules[name], "module")
    variables = {block["labels"][0]: set(block["attributes"]) for block in of_type(modules["hub"], "variable")}
    given = set(module["attributes"]) - {"source", "depends_on"}
    assert given <= variables.keys()
    assert {one for one, said in variables.items() if "default" not in said} <= given
    for reference in modules[name]["references"]:
        if reference.startswith("module.hub."):
            assert reference.split(".")[2] in labels(modules["hub"], "output")


@pytest.mark.parametrize("name", CLOUDS)
def test_the_secret_has_the_hubs_settings(modules: dict[str, Any], name: str) -> None:
    text = (TERRAFORM / name / "main.tf").read_text()
    keys = {line.split("=")[0].strip() for line in text.splitlines() if line.strip().startswith("LLM_HUB_")}
    assert keys <= {f"LLM_HUB_{one.upper()}" for one in Settings.model_fields}
    asked = (TERRAFORM / "hub" / "main.tf").read_text()
    assert all(key in keys for key in ("LLM_HUB_DATA_KEY", "LLM_HUB_ADMIN_KEY", "LLM_HUB_DATABASE_URL"))
    assert all(key in asked for key in keys)


def test_values_are_the_charts() -> None:
    """The names that the module hands on are those of values.yaml."""
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    text = (TERRAFORM / "hub" / "main.tf").read_text()
    block = text.split("  values = {\n", 1)[1].split("\n  }\n", 1)[0]
    top = {line.split("=")[0].strip() for line in block.splitlines() if line.startswith("    ") and line[4] not in " }"}
    assert top <= values.keys()
    assert "${path.module}/../../helm/llm-analytics-hub" in text
    assert (TERRAFORM / "hub" / "../../helm/llm-analytics-hub").resolve() == CHART
