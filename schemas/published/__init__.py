"""Every version of every event type as it was published: one file ``TYPE-VERSION.json`` each, never changed again.

A test holds the models to them: what a version promised goes for as long as its major version is read.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from schemas.catalogue import EVENT_TYPES
from schemas.custom import parse_version, written
from schemas.json_schema import json_schema

FOLDER: Final = Path(__file__).parent


@cache
def versions(event_type: str) -> tuple[str, ...]:
    """The versions of a type, oldest first, the model's last."""
    found = {parse_version(path.stem.removeprefix(f"{event_type}-")) for path in FOLDER.glob(f"{event_type}-*.json")}
    newest = parse_version(EVENT_TYPES[event_type].VERSION)
    return tuple(map(written, sorted({version for version in (*found, newest) if version is not None})))


@cache
def schema(event_type: str, version: str | None = None) -> dict[str, Any] | None:
    """The JSON Schema of a whole event of a version, the newest by default; None where there is no such version."""
    if version in (None, EVENT_TYPES[event_type].VERSION):
        return json_schema(event_type)
    return stored(event_type, version) if version in versions(event_type) else None


def stored(event_type: str, version: str) -> dict[str, Any]:
    """What was published as a version."""
    found: dict[str, Any] = orjson.loads((FOLDER / f"{event_type}-{version}.json").read_bytes())
    return found
