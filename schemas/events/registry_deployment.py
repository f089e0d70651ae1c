"""``registry.deployment``: something new went live."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Detail, Dimension, Label, Real, choice


class RegistryDeployment(EventData):
    """Something new went live, or was taken back: the first suspect of most incidents."""

    TYPE: ClassVar[str] = "registry.deployment"
    SOURCE: ClassVar[str] = "registry"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "artifact": "prompt",
        "name": "support-answer",
        "version": "14",
        "previous_version": "13",
        "action": "deployed",
        "share": 0.1,
        "author": "dana",
    }

    artifact: Annotated[Literal["model", "prompt", "config", "service"], choice("rest")] = Field(
        description="What was deployed."
    )
    name: Label = Field(description="Its name.")
    version: Dimension = Field(min_length=1, description="Its version.")
    previous_version: Detail | None = Field(None, description="The version before.")
    action: Annotated[Literal["deployed", "promoted", "rolled_back", "paused"], choice()] = Field(
        description="What happened."
    )
    share: Real | None = Field(None, ge=0, le=1, description="Share of the traffic, 0–1.")
    service: Dimension | None = Field(None, description="Service it runs in.")
    author: Detail | None = Field(None, description="Who did it.")
