"""Our modules under node: they parse, their types hold, the pure ones pass tests. Skipped without node."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from dashboard.files import assets

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "dashboard" / "static"
JS = Path(__file__).parent / "js"
NODE = shutil.which("node")
TSC = os.environ.get("LLM_HUB_TEST_TSC") or shutil.which("tsc")

needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")
MODULES = [name for name in assets().names(".js") if not name.startswith("vendor/")]
FORBIDDEN = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "dangerouslySet",
    "document.write",
    "eval(",
    "Function(",
    "//www",
    "http:",
    "https:",
)


def run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_node
def test_every_module_parses() -> None:
    listing = ",".join(f"'{STATIC / name}'" for name in MODULES)
    # One process for all of them: --check takes one file at a time.
    check = "execFileSync(process.execPath, ['--check', file])"
    script = f"const {{execFileSync}} = require('child_process'); for (const file of [{listing}]) {check}"
    run(str(NODE), "-e", script)


@needs_node
def test_pure_modules_pass_their_own_tests() -> None:
    run(str(NODE), "--test", *(str(path) for path in sorted(JS.glob("*.test.js"))))


@pytest.mark.skipif(TSC is None, reason="tsc is not installed (npm install typescript; LLM_HUB_TEST_TSC names it)")
def test_types_hold() -> None:
    run(str(TSC), "-p", str(JS / "tsconfig.json"))


def test_no_module_reaches_elsewhere_or_writes_html() -> None:
    for name in MODULES:
        text = (STATIC / name).read_text()
        for forbidden in FORBIDDEN:
            assert forbidden not in text, f"{name} has {forbidden}"
