"""``feedback.rating``: what a user thought of an answer."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.data import EventData
from schemas.fields import Content, Detail, Number, Real, choice


class FeedbackRating(EventData):
    """What a user thought of an answer."""

    TYPE: ClassVar[str] = "feedback.rating"
    SOURCE: ClassVar[str] = "any"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "rating": 4,
        "scale_min": 1,
        "scale_max": 5,
        "comment": "quick and right",
    }

    rating: Number | None = Field(None, description="The rating; this or `label` is required.")
    label: Annotated[Literal["up", "down"], choice()] | None = Field(
        None, description="`up` or `down`; this or `rating` is required."
    )
    scale_min: Real | None = Field(None, description="Lowest possible rating.")
    scale_max: Real | None = Field(None, description="Highest possible rating.")
    comment: Content | None = Field(None, description="What the user wrote.")
    target_event_id: Detail | None = Field(None, description="Event that was rated.")

    @model_validator(mode="after")
    def _rating_or_label(self) -> Self:
        if self.rating is None and self.label is None:
            raise ValueError("rating or label is required")
        return self
