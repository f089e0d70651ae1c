"""Rows of older versions of their types → rows of the newest ones, as columns of a body's rows of a version."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from schemas.catalogue import EVENT_TYPES
from schemas.versions import STEPS, Columns, Step, steps

#: A row of a body, as in :mod:`ingest.decode.rows`.
_Row = tuple[int, Any, bytes]


def up_to_date(rows: Sequence[_Row]) -> tuple[Sequence[_Row], Mapping[int, Mapping[str, str]]]:
    """The rows, and for those that were changed which of the sender's fields theirs were taken from, by index.

    Rows that cannot be brought up to date are left to whoever says what is wrong with them.
    """
    if not STEPS:
        return rows, {}
    changed = {step.event_type for step in STEPS}
    of_version: defaultdict[tuple[str, str | None], list[int]] = defaultdict(list)
    for place, (_, value, _) in enumerate(rows):
        if isinstance(value, dict) and value.get("type") in changed and isinstance(value.get("data"), dict):
            of_version[value["type"], _version(value)].append(place)
    found, names = list(rows), {}
    for (event_type, version), places in of_version.items():
        todo = steps(event_type, version)
        if not todo:
            continue
        columns = _columns([rows[place][1]["data"] for place in places])
        for step in todo:
            columns = step.upcast(columns)
        origins = _origins(todo)
        for number, place in enumerate(places):
            index, value, original = rows[place]
            data = {name: values[number] for name, values in columns.items() if values[number] is not None}
            found[place] = index, {**value, "schema_version": EVENT_TYPES[event_type].VERSION, "data": data}, original
            names[index] = origins
    return found, names


def _version(value: Mapping[str, Any]) -> str | None:
    given = value.get("schema_version")
    return None if given is None else str(given)


def _columns(objects: Sequence[Mapping[str, Any]]) -> Columns:
    names = dict.fromkeys(name for one in objects for name in one)
    return {name: [one.get(name) for one in objects] for name in names}


def _origins(todo: Sequence[Step]) -> Mapping[str, str]:
    """Field of the newest version → the sender's, through all steps."""
    origins: dict[str, str] = {}
    for step in todo:
        origins |= {f"data.{new}": origins.get(f"data.{old}", f"data.{old}") for new, old in step.names.items()}
    return origins
