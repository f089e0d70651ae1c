"""What was taken from others is exactly what the manifest says."""

import hashlib
import json
from pathlib import Path

VENDOR = Path(__file__).parents[2] / "dashboard" / "static" / "vendor"
MANIFEST = json.loads((VENDOR / "manifest.json").read_text())["files"]
PERMITTED = {"MIT", "Apache-2.0", "OFL-1.1"}


def test_every_file_has_the_hash_of_the_manifest() -> None:
    for entry in MANIFEST:
        assert hashlib.sha256((VENDOR / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]


def test_nothing_lies_there_that_the_manifest_does_not_name() -> None:
    present = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    named = {entry["file"] for entry in MANIFEST} | {entry["licence_text"] for entry in MANIFEST} | {"manifest.json"}
    assert present == named


def test_licences_are_permitted_and_kept() -> None:
    for entry in MANIFEST:
        assert entry["licence"] in PERMITTED
        assert len((VENDOR / entry["licence_text"]).read_text()) > 500
