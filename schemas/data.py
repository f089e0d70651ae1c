"""The base of every event's ``data``."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from schemas.fields import Content, Dimension


class EventData(BaseModel):
    """Fields that any event may carry in ``data``; unknown ones are kept, not refused.

    Subclasses set ``TYPE`` (the event type), ``SOURCE`` (the module that usually sends it), ``VERSION`` and ``EXAMPLE``
    (a valid ``data`` object, shown in the documentation and tried in the tests).
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    TYPE: ClassVar[str]
    SOURCE: ClassVar[str]
    VERSION: ClassVar[str] = "1.0"
    EXAMPLE: ClassVar[dict[str, Any]]

    feature: Dimension | None = Field(None, description="Product feature that caused the event.")
    prompt_id: Dimension | None = Field(None, description="Prompt template in use.")
    prompt_version: Dimension | None = Field(None, description="Version of the prompt template.")
    technique: Dimension | None = Field(None, description="Prompting technique.")
    intent: Dimension | None = Field(None, description="What the user wanted, as classified by the sender.")
    experiment_id: Dimension | None = Field(None, description="Experiment the event took part in.")
    variant: Dimension | None = Field(None, description="Variant of that experiment.")
    more_attributes: Content | None = Field(
        None, description="Attributes that are too long, too many or too telling to be kept as attributes."
    )
