"""Columns, derived from the models: what the doors fill, the log carries, the streams add and the warehouse keeps."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic.fields import FieldInfo

from schemas.catalogue import EVENT_MODELS
from schemas.data import EventData
from schemas.fields import Stored

ArrowType = Literal["string", "int64", "float64", "bool", "json", "id16", "id8", "time", "map"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the log and of the warehouse's ``events`` table.

    Parameters
    ----------
    name
        Column name.
    place
        ``envelope``, ``column``, ``label``, ``rest``, ``body`` or ``derived``.
    arrow
        Type in the log; ``json`` is text that holds JSON.
    clickhouse
        Type in the warehouse; empty where there is no such column (``body`` goes to ``payloads``).
    unit, description
        For the catalogue and the documentation.
    """

    name: str
    place: Literal["envelope", "column", "label", "rest", "body", "derived"]
    arrow: ArrowType
    clickhouse: str
    unit: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class EventField:
    """One field of one event type's ``data``, with the limits that the columnar check applies."""

    name: str
    stored: Stored
    required: bool
    minimum: float | None
    maximum: float | None
    min_length: int | None
    max_length: int | None
    choices: tuple[str, ...]
    description: str


_LC = "LowCardinality(String)"

ENVELOPE: tuple[Column, ...] = (
    Column("tenant", "envelope", "string", _LC, description="Tenant, from the credential."),
    Column("received_at", "envelope", "time", "DateTime64(6, 'UTC')", description="When the hub took it in."),
    Column("id", "envelope", "id16", "UUID", description="Event id."),
    Column("type", "envelope", "string", _LC, description="Event type."),
    Column("source", "envelope", "string", _LC, description="Module that sent it."),
    Column("time", "envelope", "time", "DateTime64(6, 'UTC')", description="When it happened, or ended."),
    Column("schema_version", "envelope", "string", _LC, description="Version of the event type."),
    Column("project", "envelope", "string", _LC, description="Application or team."),
    Column("environment", "envelope", "string", _LC, description="Production, staging, …"),
    Column("trace_id", "envelope", "id16", "FixedString(16)", description="Trace."),
    Column("span_id", "envelope", "id8", "FixedString(8)", description="Span."),
    Column("parent_span_id", "envelope", "id8", "FixedString(8)", description="Span it is part of."),
    Column("session_id", "envelope", "string", "String", description="Conversation or visit."),
    Column("user_id", "envelope", "string", "String", description="End user."),
    Column("attributes", "envelope", "map", "Map(LowCardinality(String), String)", description="Anything else."),
)

NAME = Column("name", "label", "string", _LC, description="Tool, agent, policy, evaluator, metric, span … by type.")
DATA = Column("data", "rest", "json", "String", description="Fields without a column of their own, as JSON.")
BODY = Column("body", "body", "json", "", description="Contents, as one JSON object; kept in payloads.")

_MONEY = "Nullable(Decimal(18, 10))"

#: Added by the streams. ``cost_usd`` arrives as the sender's own and leaves as the cost that counts.
DERIVED: tuple[Column, ...] = (
    Column("reported_cost_usd", "derived", "float64", _MONEY, "USD", "Cost as the sender reported it."),
    Column(
        "hub_cost_usd",
        "derived",
        "float64",
        _MONEY,
        "USD",
        "Cost by the hub's price, where a reported one counts.",
    ),
    Column(
        "cost_source",
        "derived",
        "string",
        _LC,
        "",
        "`price`, `tenant_price`, `reported`, `estimated`, `unpriced`.",
    ),
    Column("price_version", "derived", "string", _LC, "", "Version of the price table."),
    Column("tokens_per_second", "derived", "float64", "Nullable(Float32)", "tokens/s", "Output tokens a second."),
    Column("error_class", "derived", "string", _LC, "", "Kind of error: rate_limit, timeout, server, client, …"),
    Column("expires_at", "derived", "time", "DateTime", "", "When the row leaves the warehouse."),
    Column("region", "derived", "string", _LC, "", "Region where the event was taken in; empty where there is one."),
)


def _stored(info: FieldInfo) -> Stored:
    for item in _metadata(info.annotation, info):
        if isinstance(item, Stored):
            return item
    raise TypeError(f"field without a kind of schemas.fields: {info!r}")


def _metadata(annotation: Any, info: FieldInfo | None = None) -> Iterator[Any]:
    """All metadata of a field, also that inside ``Annotated[...] | None``."""
    if info is not None:
        yield from info.metadata
    for inner in get_args(annotation):
        if hasattr(inner, "__metadata__"):
            for item in inner.__metadata__:
                yield from item.metadata if isinstance(item, FieldInfo) else (item,)
            yield from _metadata(inner.__origin__)


def _choices(annotation: Any) -> tuple[str, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    for inner in get_args(annotation):
        if found := _choices(inner):
            return found
    return ()


def _field(name: str, info: FieldInfo) -> EventField:
    metadata = list(_metadata(info.annotation, info))

    def limit(kind: type, attribute: str) -> Any:
        return next((getattr(item, attribute) for item in metadata if isinstance(item, kind)), None)

    return EventField(
        name=name,
        stored=_stored(info),
        required=info.is_required(),
        minimum=limit(Ge, "ge"),
        maximum=limit(Le, "le"),
        min_length=limit(MinLen, "min_length"),
        max_length=limit(MaxLen, "max_length"),
        choices=_choices(info.annotation),
        description=info.description or "",
    )


@cache
def fields_of(event_type: str) -> dict[str, EventField]:
    """The fields of a type's ``data`` by name; raises ``KeyError`` for an unknown type."""
    model = next(model for model in EVENT_MODELS if event_type == model.TYPE)
    return {name: _field(name, info) for name, info in model.model_fields.items()}


@cache
def common_fields() -> dict[str, EventField]:
    """The fields that ``data`` of every type may have, also of those that tenants make."""
    return {name: _field(name, info) for name, info in EventData.model_fields.items()}


def _kinds() -> dict[str, EventField]:
    """Every field name once; two types that disagree on how to keep it are a mistake."""
    kinds: dict[str, EventField] = {}
    for model in EVENT_MODELS:
        for name, field in fields_of(model.TYPE).items():
            known = kinds.setdefault(name, field)
            if known.stored != field.stored:
                raise TypeError(f"{model.TYPE}.{name} is kept as {field.stored}, elsewhere as {known.stored}")
    return kinds


#: Field name → how it is kept, over all event types.
FIELDS: dict[str, EventField] = _kinds()

#: Fields of ``data`` that have a column of their own.
DATA_COLUMNS: tuple[Column, ...] = tuple(
    Column(name, "column", field.stored.arrow, field.stored.clickhouse, field.stored.unit, field.description)  # type: ignore[arg-type]
    for name, field in FIELDS.items()
    if field.stored.place == "column"
)

#: Event type → the field that names its events; stored in the column ``name``.
LABELS: dict[str, str] = {
    model.TYPE: name
    for model in EVENT_MODELS
    for name, field in fields_of(model.TYPE).items()
    if field.stored.place == "label"
}

#: Columns of a log record.
LOG_COLUMNS: tuple[Column, ...] = (*ENVELOPE, *DATA_COLUMNS, NAME, DATA, BODY)

#: Columns of the warehouse's ``events`` table.
EVENT_COLUMNS: tuple[Column, ...] = (*ENVELOPE, *DATA_COLUMNS, NAME, DATA, *DERIVED)
