"""``metric.sample``: one point of a metric."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Count, Detail, Dimension, Label, Number, Real, Reals, choice


class MetricSample(EventData):
    """One point of a metric."""

    TYPE: ClassVar[str] = "metric.sample"
    SOURCE: ClassVar[str] = "observatory"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "name": "queue.length",
        "value": 17,
        "unit": "{request}",
        "kind": "gauge",
    }

    name: Label = Field(description="Name of the metric.")
    value: Number = Field(description="Value of the point; of a histogram its mean.")
    unit: Detail | None = Field(None, description="Unit, in UCUM as OpenTelemetry has it.")
    kind: Annotated[Literal["gauge", "counter", "histogram"], choice()] | None = Field(
        None, description="`gauge`, `counter` or `histogram`."
    )
    temporality: Annotated[Literal["delta", "cumulative"], choice("rest")] | None = Field(
        None, description="Of counters and histograms."
    )
    count: Count | None = Field(None, description="Number of observations of a histogram.")
    sum: Real | None = Field(None, description="Sum of a histogram's observations.")
    bounds: Reals | None = Field(None, description="Upper bounds of a histogram's buckets.")
    bucket_counts: Reals | None = Field(None, description="Counts of a histogram's buckets.")
    service: Dimension | None = Field(None, description="Service that was measured.")
