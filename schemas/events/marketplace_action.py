"""``marketplace.action``: something happened to an item of the marketplace."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Detail, Dimension, Label, Number, Real, choice


class MarketplaceAction(EventData):
    """Something happened to an item of the marketplace."""

    TYPE: ClassVar[str] = "marketplace.action"
    SOURCE: ClassVar[str] = "marketplace"
    EXAMPLE: ClassVar[dict[str, Any]] = {"item": "sql-agent", "action": "installed", "version": "1.4.0"}

    item: Label = Field(description="The item.")
    action: Annotated[Literal["published", "installed", "updated", "removed", "rated"], choice()] = Field(
        description="What happened."
    )
    version: Dimension | None = Field(None, description="Version of the item.")
    publisher: Detail | None = Field(None, description="Who publishes it.")
    price_usd: Real | None = Field(None, ge=0, description="Its price.")
    rating: Number | None = Field(None, description="The rating given.")
