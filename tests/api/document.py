"""The API as it is published: ``python -m tests.api.document`` writes ``deploy/api/openapi-VERSION.json`` of a release.

Where that file is there already, ``--again`` is needed: what was published is a promise (docs/releases.md).
"""

import json
import sys
from pathlib import Path
from typing import Any

from hub.release import release
from hub.web import build_web
from ingest.doors import DOORS
from query_api.endpoints import ENDPOINTS

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "api"


def document() -> dict[str, Any]:
    """OpenAPI of doors and endpoints, as this checkout serves it."""
    return build_web(release(), [*DOORS, *ENDPOINTS], {}).openapi()


def published() -> list[Path]:
    """What was published, oldest first."""
    return sorted(FOLDER.glob("openapi-*.json"), key=_version)


def _version(file: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in file.stem.removeprefix("openapi-").split("."))


if __name__ == "__main__":
    target = FOLDER / f"openapi-{release()}.json"
    if target.exists() and "--again" not in sys.argv:
        raise SystemExit(f"{target.name} is published; raise the version, or say --again while it is not released")
    FOLDER.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document(), indent=1, sort_keys=True) + "\n")
