"""``experiment.exposure``: a unit was shown a variant."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Detail, Dimension


class ExperimentExposure(EventData):
    """A unit was shown a variant of an experiment."""

    TYPE: ClassVar[str] = "experiment.exposure"
    SOURCE: ClassVar[str] = "any"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "experiment_id": "short-answers",
        "variant": "treatment",
        "unit_id": "u-1",
    }

    experiment_id: Dimension = Field(min_length=1, description="The experiment.")
    variant: Dimension = Field(min_length=1, description="The variant.")
    unit_id: Detail | None = Field(None, description="Who was shown it; default the envelope's `user_id`.")
