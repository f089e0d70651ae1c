"""The locks hold every dependency that pyproject.toml asks for, with hashes and without download addresses."""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def pinned(name: str) -> dict[str, str]:
    """Package → version of a lock."""
    text = (ROOT / name).read_text()
    if "://" in text:
        sys.exit(f"{name} carries download addresses")
    return dict(re.findall(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE))


def main() -> None:
    """Exit with a message when something is missing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needed, extras = project["project"]["dependencies"], project["project"]["optional-dependencies"]
    wanted = {
        "requirements.lock": needed,
        "requirements-dev.lock": needed + project["dependency-groups"]["dev"],
        "requirements-load.lock": project["dependency-groups"]["load"],
        "deploy/requirements.lock": [*needed, *(one for extra in extras.values() for one in extra)],
    }
    for lock, requirements in wanted.items():
        versions = pinned(lock)
        for requirement in map(Requirement, requirements):
            version = versions.get(requirement.name.lower().replace("_", "-"))
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                sys.exit(f"{lock}: {requirement} is not there (found {version}): compile the locks anew")
    image = pinned("deploy/requirements.lock")
    for name, version in pinned("requirements.lock").items():
        if image.get(name) != version:
            sys.exit(f"deploy/requirements.lock: {name} is {image.get(name)}, not {version}: compile the locks anew")
    print("the locks are complete")


if __name__ == "__main__":
    main()
