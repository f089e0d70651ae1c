"""What the SDK is as a distribution: free of the hub, documented, and its examples right."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import llm_hub

PROJECT = Path(llm_hub.__file__).resolve().parents[2]
MODULES = sorted(module.name for module in pkgutil.walk_packages(llm_hub.__path__, "llm_hub."))


def test_it_imports_nothing_of_the_hub() -> None:
    lint = ["-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    options = ["--config", str(PROJECT / "pyproject.toml"), "--no-cache"]
    # In a process of its own: it configures the logging of the whole process.
    done = subprocess.run([sys.executable, *lint, *options], cwd=PROJECT / "src", capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_version_is_one() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert project["version"] == llm_hub.__version__
    assert project["dependencies"] == ["httpx>=0.24"]
    assert (PROJECT / "src" / "llm_hub" / "py.typed").exists()


def test_all_that_is_exported_is_described() -> None:
    guide = (PROJECT.parents[1] / "docs" / "sdk.md").read_text()
    assert [name for name in llm_hub.__all__ if not getattr(llm_hub, name).__doc__] == []
    assert [name for name in llm_hub.__all__ if name not in ("Span", "get_client") and name not in guide] == []
