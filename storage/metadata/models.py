"""The tables. Migrations build them (``migrations/versions``); a test holds the two together."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from storage.metadata.types import Money, UtcDateTime

#: Every constraint has a name, or a migration could not take it away again.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

#: An integer key that counts up by itself in both engines (SQLite counts only plain INTEGER).
_COUNTER = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """What all tables share: exact names, instants in UTC, JSON objects."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        Decimal: Money,
        dict[str, Any]: JSON,
        list[str]: JSON,
        bytes: LargeBinary,
        float: Double,
    }


def _tenant() -> Mapped[str]:
    return mapped_column(String(64), ForeignKey("tenants.id", ondelete="CASCADE"), index=True)


class Tenant(Base):
    """Whose data it is."""

    __tablename__ = "tenants"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    settings: Mapped[dict[str, Any]]


class ApiKey(Base):
    """A credential. The secret itself is never stored: ``secret_hash`` is its SHA-256."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant: Mapped[str] = _tenant()
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[list[str]]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    prefix: Mapped[str] = mapped_column(String(32))
    requests_per_second: Mapped[float | None]
    events_per_second: Mapped[float | None]
    created_at: Mapped[datetime]
    created_by: Mapped[str] = mapped_column(String(100))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class User(Base):
    """A person who signs in to the pages."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("tenant", "email"),)
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    tenant: Mapped[str] = _tenant()
    email: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(200))
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class SignInLink(Base):
    """A link that opens a session once; only the SHA-256 of its token is stored."""

    __tablename__ = "sign_in_links"
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    tenant: Mapped[str] = _tenant()
    subject: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class AuditEntry(Base):
    """One thing that was done. Only ever added; outlives its tenant, so there is no foreign key."""

    __tablename__ = "audit_log"
    __table_args__ = (UniqueConstraint("tenant", "number"),)
    id: Mapped[int] = mapped_column(_COUNTER, primary_key=True, autoincrement=True)
    tenant: Mapped[str] = mapped_column(String(64))
    number: Mapped[int] = mapped_column(BigInteger)
    time: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(100))
    resource: Mapped[str] = mapped_column(String(300))
    outcome: Mapped[str] = mapped_column(String(16))
    ip: Mapped[str | None] = mapped_column(String(64))
    detail: Mapped[dict[str, Any]]
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class AuditHead(Base):
    """The end of a tenant's chain: where the next entry is linked, and what tells that the last was cut off."""

    __tablename__ = "audit_heads"
    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class Price(Base):
    """A tenant's own price of the models that ``model`` matches, from ``valid_from`` on. Money is US dollars."""

    __tablename__ = "prices"
    __table_args__ = (Index(None, "tenant", "model", "valid_from"),)
    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(64), ForeignKey("tenants.id", ondelete="CASCADE"))
    provider: Mapped[str | None] = mapped_column(String(100))
    model: Mapped[str] = mapped_column(String(200))
    input_price_usd_per_mtok: Mapped[Decimal | None]
    output_price_usd_per_mtok: Mapped[Decimal | None]
    cache_read_price_usd_per_mtok: Mapped[Decimal | None]
    cache_write_price_usd_per_mtok: Mapped[Decimal | None]
    reasoning_price_usd_per_mtok: Mapped[Decimal | None]
    batch_discount: Mapped[Decimal | None]
    request_price_usd: Mapped[Decimal | None]
    gpu_hour_usd: Mapped[Decimal | None]
    gpus: Mapped[Decimal | None]
    input_tokens_per_gpu_hour: Mapped[int | None] = mapped_column(BigInteger)
    output_tokens_per_gpu_hour: Mapped[int | None] = mapped_column(BigInteger)
    valid_from: Mapped[datetime]
    created_at: Mapped[datetime]


class EventSchema(Base):
    """A version of an event type of a tenant's own: the JSON Schema of its data. Never changed."""

    __tablename__ = "event_schemas"
    tenant: Mapped[str] = mapped_column(String(64), ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    type: Mapped[str] = mapped_column(String(100), primary_key=True)
    major: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    minor: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    document: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Erasure(Base):
    """A tenant that was deleted and whose data is still to be erased. Outlives its tenant: there is no foreign key."""

    __tablename__ = "erasures"
    tenant: Mapped[str] = mapped_column(String(64), primary_key=True)
    deleted_at: Mapped[datetime]
    clean_since: Mapped[datetime | None]


class JournalBlock(Base):
    """A block of records that the warehouse writer has begun to insert (see ``journal.py``)."""

    __tablename__ = "block_journal"
    group: Mapped[str] = mapped_column("consumer_group", String(200), primary_key=True)
    topic: Mapped[str] = mapped_column(String(200), primary_key=True)
    partition: Mapped[int] = mapped_column("partition_number", Integer, primary_key=True, autoincrement=False)
    first: Mapped[int] = mapped_column("first_offset", BigInteger, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column("last_offset", BigInteger)
    token: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    position: Mapped[int | None] = mapped_column(BigInteger)


class Job(Base):
    """Long work that is under way, so that whoever finds it unfinished goes on with it (see ``jobs.py``)."""

    __tablename__ = "jobs"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    detail: Mapped[dict[str, Any]]
    updated_at: Mapped[datetime]


class HeldObservation(Base):
    """What is known of a Langfuse client's observation until its end has come (see ``ingest/langfuse/held.py``)."""

    __tablename__ = "held_observations"
    __table_args__ = (Index(None, "tenant", "expires_at"),)
    tenant: Mapped[str] = mapped_column(String(64), ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary(16), primary_key=True)
    body: Mapped[bytes]
    written: Mapped[bool]
    expires_at: Mapped[datetime]
