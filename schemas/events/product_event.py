"""``product.event``: something a user did in the product."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Label, Money, Properties


class ProductEvent(EventData):
    """Something a user did in the product: the steps of funnels."""

    TYPE: ClassVar[str] = "product.event"
    SOURCE: ClassVar[str] = "any"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "name": "checkout.completed",
        "properties": {"plan": "pro"},
        "revenue_usd": 29,
    }

    name: Label = Field(description="Name of the event.")
    properties: Properties | None = Field(None, description="Anything worth keeping.")
    revenue_usd: Money | None = Field(None, description="Revenue it brought.")
