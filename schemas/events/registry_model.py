"""``registry.model``: a change in the model registry."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Count, Dimension, Real, choice


class RegistryModel(EventData):
    """A change in the model registry."""

    TYPE: ClassVar[str] = "registry.model"
    SOURCE: ClassVar[str] = "registry"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "model": "support-llama-70b",
        "provider": "self-hosted",
        "version": "2026-11-01",
        "action": "registered",
        "input_price_usd_per_mtok": 0.4,
        "output_price_usd_per_mtok": 1.2,
    }

    model: Dimension = Field(min_length=1, description="Name of the model.")
    provider: Dimension | None = Field(None, description="Who serves it.")
    version: Dimension | None = Field(None, description="Version of the model.")
    action: Annotated[Literal["registered", "updated", "deprecated", "removed"], choice()] = Field(
        description="What happened."
    )
    input_price_usd_per_mtok: Real | None = Field(None, ge=0, description="Price of a million prompt tokens.")
    output_price_usd_per_mtok: Real | None = Field(None, ge=0, description="Price of a million completion tokens.")
    context_window: Count | None = Field(None, description="Longest context, in tokens.")
