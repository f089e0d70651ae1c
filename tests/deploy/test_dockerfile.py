"""The image: what its Dockerfile says, and that the files it is built of are there."""

import fnmatch
import re
import tomllib
from typing import Any

import pytest

from hub.settings import Settings
from query_api.endpoints import health
from tests.deploy.conftest import DEPLOY, ROOT, Check
from tests.deploy.context import allowed


@pytest.fixture(scope="module")
def image(check: Check) -> Any:
    return check("dockerfile", DEPLOY / "Dockerfile")


@pytest.fixture(scope="module")
def stages(image: Any) -> dict[str, list[Any]]:
    return {stage["name"]: stage["instructions"] for stage in image["stages"]}


def _words(instructions: list[Any], name: str) -> list[list[str]]:
    return [one["words"] for one in instructions if one["name"].upper() == name]


def _environment(instructions: list[Any]) -> dict[str, str]:
    words = [word for line in _words(instructions, "ENV") for word in line]
    return dict(zip(words[0::3], words[1::3], strict=True))


def test_the_builder_has_nothing_to_complain_of(image: Any) -> None:
    assert not image["warnings"]


def test_everything_that_is_copied_is_there_and_let_in(stages: dict[str, list[Any]]) -> None:
    lets = allowed()
    assert all((ROOT / name).exists() for name in lets)
    for instructions in stages.values():
        for one in instructions:
            if one["name"].upper() != "COPY":
                continue
            *sources, _ = one["words"]
            if flags := [flag.removeprefix("--from=") for flag in one["flags"] if flag.startswith("--from=")]:
                assert flags[0] in stages
            else:
                assert all(source == "." or any(fnmatch.fnmatch(source, name) for name in lets) for source in sources)


def test_the_context_is_what_the_wheel_is_built_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {*project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"], "pyproject.toml"}
    wanted |= {project["project"]["readme"], *project["project"]["license-files"], "deploy/requirements.lock"}
    assert set(allowed()) == wanted
    assert (ROOT / ".dockerignore").read_text().splitlines()[1] == "*"


def test_commands_are_those_of_the_readme(stages: dict[str, list[Any]]) -> None:
    """The lock with hashes first, then the wheel without dependencies; nothing is compiled."""
    (environment,), (wheel,) = _words(stages["build"], "RUN")
    assert "pip install -q --only-binary :all: --require-hashes -r deploy/requirements.lock" in environment
    assert "pip wheel -q --no-deps" in wheel
    assert "pip install -q --no-deps /dist/*.whl" in wheel
    assert "--require-hashes -r requirements.lock" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["roles", "hub"])
def test_the_image_is_not_root_and_has_no_tools(stages: dict[str, list[Any]], image: Any, name: str) -> None:
    last = next(stage for stage in image["stages"] if stage["name"] == name)
    assert last["base"] == "base"
    (user,) = _words(last["instructions"], "USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user[0]), "Kubernetes can only tell a number from root"
    together = " ".join(
        one["words"][0] for one in [*stages["base"], *last["instructions"]] if one["name"].upper() == "RUN"
    )
    assert not re.search(r"apt|gcc|build-essential|curl|pip", together)
    order = [one["name"].upper() for one in last["instructions"]]
    assert order.index("COPY") < order.index("USER"), "the program itself cannot be written by who runs it"


def test_signals_reach_the_hub(stages: dict[str, list[Any]]) -> None:
    entry = next(one for one in stages["base"] if one["name"].upper() == "ENTRYPOINT")
    assert (entry["form"], entry["words"]) == ("exec", ["llm-hub"])
    for name in ("roles", "hub"):
        assert next(one for one in stages[name] if one["name"].upper() == "CMD")["form"] == "exec"


def test_health_is_asked_without_other_programs(stages: dict[str, list[Any]]) -> None:
    health_check = next(one for one in stages["base"] if one["name"].upper() == "HEALTHCHECK")
    assert health_check["words"][:3] == ["CMD", "python", "-c"]
    compile(health_check["words"][3], "HEALTHCHECK", "exec")
    assert any(route.path in health_check["words"][3] for route in health.router.routes)


def test_settings_of_the_image_are_settings(stages: dict[str, list[Any]]) -> None:
    environment = _environment(stages["base"])
    given = {
        name.removeprefix("LLM_HUB_").lower(): value
        for name, value in environment.items()
        if name.startswith("LLM_HUB_")
    }
    settings = Settings.model_validate(given)
    ((volume,),) = _words(stages["base"], "VOLUME")
    assert str(settings.data_dir) == volume
    assert [str(settings.port), str(settings.otlp_grpc_port)] == _words(stages["base"], "EXPOSE")[0]
