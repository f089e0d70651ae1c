"""vLLM's metrics: the points of one worker at one moment are one ``serving.sample``."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ingest.otlp.attributes import Attributes
from ingest.otlp.fit import fit
from ingest.otlp.records import Point
from ingest.scrape.vllm import GAUGES

#: Metric → fields of the sample; some collectors leave ``_total`` to the kind of the metric.
_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    **GAUGES,
    **{name.removesuffix("_total"): fields for name, fields in GAUGES.items()},
}
#: Attributes that name the worker, the most telling first.
_WORKER: Final = ("service.instance.id", "instance", "k8s.pod.name", "host.name", "service.name")


def samples(
    points: Sequence[Point], times: Sequence[int], attributes: Attributes, bodies: Sequence[int]
) -> tuple[dict[int, dict[str, Any]], set[int]]:
    """Rows that become samples, with their fields, and the rows of the same body that went into these."""
    rows = [row for row, point in enumerate(points) if point.name.replace(":", "_") in _FIELDS]
    if not rows:
        return {}, set()
    workers, engines, models = (_texts(attributes, names) for names in (_WORKER, ("engine",), ("model_name",)))
    first: dict[tuple[int, str, str, int], int] = {}
    found: dict[int, dict[str, Any]] = {}
    merged: set[int] = set()
    for row in rows:
        worker = "/".join(part for part in (workers.get(row), engines.get(row)) if part) or "vllm"
        carrier = first.setdefault((bodies[row], worker, models.get(row, ""), times[row]), row)
        if carrier != row:
            merged.add(row)
        sample = found.setdefault(carrier, {"worker": worker[:256]})
        if models.get(row):
            sample["model"] = models[row][:256]
        for field in _FIELDS[points[row].name.replace(":", "_")]:
            value = fit(field, points[row].value)
            if value is not None:
                sample[field] = value
    return found, merged


def _texts(attributes: Attributes, names: Sequence[str]) -> dict[int, str]:
    """The text of each row under the first of these names that it has."""
    found: dict[int, str] = {}
    for name in names:
        column = attributes.column(name)
        for row, value in column.items() if column is not None else ():
            found.setdefault(row, str(value))
    return found
