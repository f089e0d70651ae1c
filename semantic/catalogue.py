"""What can be asked for: lookups by name, with the nearest right name for a wrong one."""

import difflib
from collections.abc import Iterable
from typing import Any, Final

from core.errors import Unprocessable
from semantic.dimensions import ATTRIBUTE_PREFIX, CONTENTS, DIMENSIONS, Dimension, attribute
from semantic.measures import MEASURES, Measure

MEASURE_BY_NAME: Final[dict[str, Measure]] = {measure.name: measure for measure in MEASURES}
DIMENSION_BY_NAME: Final[dict[str, Dimension]] = {dimension.name: dimension for dimension in DIMENSIONS}

#: Longest name of an attribute, as at the door.
_ATTRIBUTE_LENGTH = 256


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of ``names``, if any is similar enough to be meant."""
    found = difflib.get_close_matches(name[:100].lower(), list(names), n=1, cutoff=0.5)
    return found[0] if found else None


def _unknown(kind: str, name: str, names: Iterable[str], where: str) -> Unprocessable:
    close = nearest(name, names)
    hint = f"did you mean `{close}`?" if close else "see GET /v1/query/catalog for all of them."
    return Unprocessable(f"{where}: there is no {kind} `{name[:100]}`; {hint}", field=where, nearest=close)


def measure(name: str, where: str = "measures") -> Measure:
    """The measure of that name.

    Raises
    ------
    Unprocessable
        With the field path ``where`` and the nearest right name.
    """
    if name not in MEASURE_BY_NAME:
        raise _unknown("measure", name, MEASURE_BY_NAME, where)
    return MEASURE_BY_NAME[name]


def dimension(name: str, where: str = "dimensions", *, group: bool = False) -> Dimension:
    """The dimension of that name; with ``group`` one that rows can be grouped by.

    Raises
    ------
    Unprocessable
        With the field path ``where`` and the nearest right name.
    """
    if name.startswith(ATTRIBUTE_PREFIX) and 0 < len(name) - len(ATTRIBUTE_PREFIX) <= _ATTRIBUTE_LENGTH:
        return attribute(name.removeprefix(ATTRIBUTE_PREFIX))
    if name in CONTENTS:
        raise Unprocessable(
            f"{where}: `{name}` is content; it is shown with its event and cannot be asked by.", field=where
        )
    if name not in DIMENSION_BY_NAME:
        raise _unknown("dimension", name, DIMENSION_BY_NAME, where)
    found = DIMENSION_BY_NAME[name]
    if group and not found.groupable:
        raise Unprocessable(f"{where}: `{name}` can be filtered but not grouped by.", field=where)
    return found


def describe() -> dict[str, Any]:
    """The whole catalogue, as ``GET /v1/query/catalog`` answers it."""
    return {
        "measures": [
            {"name": item.name, "type": item.type, "unit": item.unit, "description": item.description}
            for item in MEASURES
        ],
        "dimensions": [
            {
                "name": item.name,
                "type": item.kind,
                "unit": item.unit,
                "description": item.description,
                "groupable": item.groupable,
                "event_types": list(item.types),
            }
            for item in DIMENSIONS
        ]
        + [
            {
                "name": "attributes.NAME",
                "type": "text",
                "unit": "",
                "description": "Any attribute by its name.",
                "groupable": True,
                "event_types": [],
            }
        ],
    }
