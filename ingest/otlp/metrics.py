"""Points of metrics → ``metric.sample``; the state of a serving worker → ``serving.sample``."""

from collections.abc import Sequence

import numpy as np

from core.errors import HubError
from ingest.batch import Arrival, Decoded
from ingest.joint import alone
from ingest.limits import Limits
from ingest.otlp import json, protobuf
from ingest.otlp.bodies import Bodies, read_bodies
from ingest.otlp.events import Rows, decoded_of, receipt_nanoseconds, row_ids, short
from ingest.otlp.fields import Fields
from ingest.otlp.records import Point
from ingest.otlp.serving import samples


def decode_points(body: bytes, arrival: Arrival, limits: Limits, *, plain: bool, project: str | None = None) -> Decoded:
    """Decode one body; see :func:`decode_points_of`."""
    return alone(decode_points_of([body], arrival, limits, plain=plain, project=project))


def decode_points_of(
    bodies: Sequence[bytes], arrival: Arrival, limits: Limits, *, plain: bool, project: str | None = None
) -> list[Decoded | HubError]:
    """Decode bodies that are an ``ExportMetricsServiceRequest`` each; see :func:`ingest.otlp.spans.decode_spans_of`."""
    read = read_bodies(bodies, (json if plain else protobuf).read_points, limits)
    return decoded_of(read, _rows(read, arrival, project), arrival, limits)


def _rows(bodies: Bodies, arrival: Arrival, project: str | None) -> Rows:
    points: list[Point] = bodies.rows
    now = receipt_nanoseconds(arrival)
    times = [min(point.time or now, 2**63 - 1) // 1000 for point in points]
    found, merged = samples(points, times, bodies.attributes, bodies.of_row)
    types = ["serving.sample" if row in found else "metric.sample" for row in range(len(points))]
    fields = Fields(bodies.attributes, types)
    for row, point in enumerate(points):
        if row in found:
            for name, value in found[row].items():
                fields.field(name).set(row, value)
        elif row not in merged:
            _sample(fields, row, point)
    if project is not None:
        fields.fill("project", short(project))
    return Rows(
        index=[point.number for point in points],
        types=types,
        fields=fields,
        time=np.array(times, np.int64),
        ready={"id": row_ids(arrival.tenant, [point.written for point in points], bodies.of_row)},
        keep=np.array([row not in merged for row in range(len(points))], np.bool_) if merged else None,
    )


def _sample(fields: Fields, row: int, point: Point) -> None:
    fields.field("name").set(row, short(point.name) or "unnamed")
    fields.field("value").set(row, point.value)
    fields.field("kind").set(row, point.kind)
    if point.unit:
        fields.field("unit").set(row, point.unit[:65536])
    if point.temporality is not None:
        fields.field("temporality").set(row, point.temporality)
    for name, value in point.details.items():
        fields.detail(name).set(row, value)
