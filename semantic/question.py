"""A question, as ``POST /v1/query`` takes it."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from core.errors import Unprocessable
from semantic import catalogue
from semantic.filters import Filter

MAX_MEASURES = 20
MAX_DIMENSIONS = 8
MAX_FILTERS = 50
MAX_ROWS = 50_000

_Name = Annotated[str, Field(max_length=300)]
_Moment = Annotated[str, Field(max_length=64)] | Annotated[float, Field(ge=0, le=1e14, allow_inf_nan=False)]


class TimeRange(BaseModel):
    """A range of time, [from, to)."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    start: _Moment = Field("now-1h", alias="from", description="`now-1h`, `now/d`, ISO 8601 or epoch milliseconds.")
    end: _Moment = Field("now", alias="to", description="The same; not included.")


class Order(BaseModel):
    """What to sort by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    field: _Name = Field(description="A measure or dimension of the question.")
    direction: Literal["asc", "desc"] = "asc"


class Question(BaseModel):
    """Measures over events, by dimensions and time.

    With `granularity` rows come by time, then dimensions; `order` and `limit` then choose the series (combinations of
    dimensions) by their value over the whole range. Without it they sort and cut the rows.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "example": {
                "measures": ["requests", "error_rate", "latency_p95", "cost_usd"],
                "dimensions": ["model"],
                "granularity": "1m",
                "time": {"from": "now-1h", "to": "now"},
                "filters": [{"field": "environment", "op": "in", "values": ["production"]}],
                "order": [{"field": "cost_usd", "direction": "desc"}],
                "limit": 100,
            }
        },
    )

    measures: Annotated[tuple[_Name, ...], Field(min_length=1, max_length=MAX_MEASURES)] = Field(
        description="Names from the catalogue."
    )
    dimensions: Annotated[tuple[_Name, ...], Field(max_length=MAX_DIMENSIONS)] = Field(
        (), description="Names from the catalogue, or `attributes.NAME`."
    )
    granularity: Annotated[str, Field(max_length=32)] | None = Field(
        None, description="`1s` … `1h`, `1d`, `1w`, `1M` or `auto`; adds the column `time`."
    )
    time: TimeRange = Field(default_factory=lambda: TimeRange.model_validate({}))
    time_zone: Annotated[str, Field(max_length=64)] = Field("UTC", description="IANA name, for days and roundings.")
    filters: Annotated[tuple[Filter, ...], Field(max_length=MAX_FILTERS)] = ()
    order: Annotated[tuple[Order, ...], Field(max_length=MAX_DIMENSIONS)] = ()
    limit: Annotated[int, Field(ge=1, le=MAX_ROWS)] | None = Field(None, description="Most rows, or most series.")
    compare: Literal["previous_period"] | None = Field(
        None, description="Adds a column `<measure>__previous`: the range of equal length just before."
    )
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = Field(
        None, description="Shows amounts of money in this currency, at the tenant's rate."
    )

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, given: Any) -> Any:
        if isinstance(given, dict):
            for key in given:
                if key not in cls.model_fields:
                    close = catalogue.nearest(str(key), cls.model_fields)
                    hint = f"; did you mean `{close}`?" if close else "."
                    raise Unprocessable(f"A question has no `{str(key)[:100]}`{hint}", field=str(key), nearest=close)
        return given

    @model_validator(mode="after")
    def _names(self) -> Self:
        for index, name in enumerate(self.measures):
            catalogue.measure(name, f"measures.{index}")
        for index, name in enumerate(self.dimensions):
            catalogue.dimension(name, f"dimensions.{index}", group=True)
        for index, item in enumerate(self.filters):
            catalogue.dimension(item.field, f"filters.{index}.field")
        for names, where in ((self.measures, "measures"), (self.dimensions, "dimensions")):
            if len(set(names)) < len(names):
                raise Unprocessable(f"{where}: every name once.", field=where)
        self._order()
        return self

    def _order(self) -> None:
        known = (*self.measures, *self.dimensions, *(("time",) if self.granularity else ()))
        for index, item in enumerate(self.order):
            if item.field not in known:
                where = f"order.{index}.field"
                close = catalogue.nearest(item.field, known)
                hint = f"did you mean `{close}`?" if close else "name one of its measures or dimensions."
                raise Unprocessable(
                    f"{where}: the question has no `{item.field[:100]}`; {hint}", field=where, nearest=close
                )
