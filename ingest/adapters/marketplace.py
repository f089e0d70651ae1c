"""The marketplace: what was published, installed, rated."""

from typing import Final

from ingest.adapters.form import Adapter, Form, words

ADAPTER: Final = Adapter(
    "marketplace",
    {
        "1": Form(
            "marketplace.action",
            "marketplace",
            {
                "item.name": "data.item",
                "item.version": "data.version",
                "item.publisher": "data.publisher",
                "item.price_usd": "data.price_usd",
                "event": (
                    "data.action",
                    words(publish="published", install="installed", update="updated", remove="removed", rate="rated"),
                ),
                "stars": "data.rating",
            },
        )
    },
)
