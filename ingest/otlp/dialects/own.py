"""The hub's own: ``llm_hub.FIELD`` for the fields of events that no convention has a name for."""

from typing import Final

from ingest.otlp.dialects.dialect import MORE, Dialect
from schemas.columns import FIELDS

#: Lists and objects beside the contents have no form that attributes and fields share.
DIALECT: Final = Dialect(
    fields={
        f"llm_hub.{name}": name
        for name, field in FIELDS.items()
        if name != MORE and (field.stored.place == "body" or field.stored.arrow != "json")
    }
)
