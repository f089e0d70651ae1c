"""The Compose files load, keep to loopback, and say what the hub understands."""

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hub.cli.run import ROLES
from hub.settings import Settings, load
from ingest.doors import DOORS
from tests.deploy.conftest import DEPLOY, Check

FILES = ("compose.yaml", "compose.scaled.yaml")
#: Services whose image is the hub's.
HUB = {"hub", "migrate", *ROLES}
#: Those that begin as root to change owner: the databases' own images.
_BEGIN_AS_ROOT = {"clickhouse", "postgres"}


@pytest.fixture(scope="module", params=FILES)
def project(request: pytest.FixtureRequest, check: Check) -> Any:
    return check("compose", DEPLOY / request.param)


@pytest.fixture(scope="module")
def scaled(check: Check) -> Any:
    return check("compose", DEPLOY / "compose.scaled.yaml")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    subprocess.run([DEPLOY / "compose" / "make-secrets", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


def test_ports_are_on_loopback(project: Any) -> None:
    published = [port for service in project["services"].values() for port in service.get("ports", ())]
    assert published
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}


def test_every_service_has_limits_and_says_whether_it_is_well(project: Any) -> None:
    for name, service in project["services"].items():
        limits = service["deploy"]["resources"]["limits"]
        assert {"cpus", "memory"} <= limits.keys(), name
        assert name in HUB or service["healthcheck"]["test"], name  # the hub's is in its image


def test_containers_are_confined(project: Any) -> None:
    for name, service in project["services"].items():
        if name in _BEGIN_AS_ROOT:
            continue
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name in HUB:
            assert service["read_only"], name


def test_variables_are_settings(project: Any) -> None:
    for name in HUB & project["services"].keys():
        given = project["services"][name]["environment"]
        config = given.pop("LLM_HUB_CONFIG", None)
        assert config in (None, "/run/secrets/hub.toml")
        Settings.model_validate({key.removeprefix("LLM_HUB_").lower(): value for key, value in given.items()})


def test_files_that_are_mounted_exist(project: Any) -> None:
    mounts = [mount for service in project["services"].values() for mount in service.get("volumes", ())]
    for mount in mounts:
        if mount["type"] == "bind":
            assert Path(mount["source"]).exists(), mount["source"]
            assert mount["read_only"]


def test_no_password_is_in_the_file(scaled: Any) -> None:
    for service in scaled["services"].values():
        for name, value in (service.get("environment") or {}).items():
            assert "PASSWORD" not in name or value.startswith("/run/secrets/"), name


def test_roles_are_those_of_the_command(scaled: Any) -> None:
    commands = [service.get("command") or [] for service in scaled["services"].values()]
    assert {command[1] for command in commands if command[:1] == ["run"]} == set(ROLES)
    for role in ROLES:
        assert scaled["services"][role]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_workers_are_no_more_than_partitions(scaled: Any) -> None:
    streams = scaled["services"]["streams"]
    assert streams["deploy"]["replicas"] <= int(streams["environment"]["LLM_HUB_PARTITIONS"])


def test_the_secrets_make_a_hub(scaled: Any, secrets: Path) -> None:
    settings = load(environ={"LLM_HUB_CONFIG": str(secrets / "hub.toml")})
    assert settings.admin_key.get_secret_value() == (secrets / "admin_key").read_text()
    assert settings.metrics_key.get_secret_value() == (secrets / "metrics_key").read_text()
    assert len(settings.data_key.get_secret_value()) == 64
    assert (secrets / "postgres_password").read_text() in settings.database_url
    named = {Path(one["file"]).name for one in scaled["secrets"].values()}
    assert named <= {path.name for path in secrets.iterdir()}
    assert secrets.stat().st_mode & 0o077 == 0


def test_secrets_are_made_once(secrets: Path) -> None:
    before = {path.name: path.read_text() for path in secrets.iterdir()}
    subprocess.run([DEPLOY / "compose" / "make-secrets", secrets], check=True, stdout=subprocess.DEVNULL)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == before
    assert tomllib.loads(before["hub.toml"])["broker_url"] == "kafka://kafka:9092"


def _doors() -> Iterator[str]:
    for router in DOORS:
        for route in router.routes:
            if "POST" in route.methods:  # type: ignore[attr-defined]
                yield route.path  # type: ignore[attr-defined]


def test_the_gateway_sends_what_is_written_to_ingest() -> None:
    import re

    text = (DEPLOY / "compose" / "nginx.conf").read_text()
    rules = [re.compile(rule) for rule in re.findall(r'"~(\^POST [^"]+)"\s+ingest;', text)]
    assert rules
    for path in _doors():
        assert any(rule.search("POST " + re.sub(r"\{[^}]*\}", "x", path)) for rule in rules), path
    assert not any(rule.search("GET /v1/traces") or rule.search("POST /v1/query") for rule in rules)


def test_prometheus_asks_every_role(scaled: Any) -> None:
    config = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert set(job["dns_sd_configs"][0]["names"]) == set(ROLES)
    assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_key"
    assert {"source": "metrics_key", "target": "/run/secrets/metrics_key"} in scaled["services"]["prometheus"][
        "secrets"
    ]
