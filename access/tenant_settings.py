"""What a tenant may set, each with its default; unknown fields are refused."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

Days = Annotated[int, Field(ge=1, le=3650)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RetentionDays(_Frozen):
    """For how many days each kind of data is kept, from its own time on.

    Payloads are the contents of events, and leave with them at the latest; rollups are their sums, and stay at least
    as long. Rollups of a minute and finer end sooner (100 and 2 days), and none lasts longer than 800 days.

    Examples
    --------
    >>> days = RetentionDays(events=7, payloads=30, rollups=1)
    >>> days.of("events"), days.of("payloads"), days.of("rollups")
    (7, 7, 7)
    """

    events: Days = 90
    payloads: Days = 30
    rollups: Annotated[int, Field(ge=1, le=800)] = 400

    def of(self, kind: Literal["events", "payloads", "rollups"]) -> int:
        """For how many days a kind is kept, the others considered."""
        if kind == "payloads":
            return min(self.payloads, self.events)
        return max(self.rollups, self.events) if kind == "rollups" else self.events


class RedactionMode(StrEnum):
    """Where secrets and personal data are looked for: nowhere, in contents, or in attributes too."""

    OFF = "off"
    BODIES = "bodies"
    ALL = "all"


class RedactionPattern(_Frozen):
    """A pattern of the tenant's own, in the syntax of Rust's ``regex``."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    pattern: Annotated[str, Field(min_length=1, max_length=300)]

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        # With the engine that will use it: Rust's, which has no look-around and takes linear time.
        import polars as pl  # heavy, and needed only when a tenant writes patterns

        try:
            matches_nothing = pl.Series([""]).str.contains(pattern, strict=True).item()
        except pl.exceptions.ComputeError as error:
            raise ValueError(
                "is no regular expression in Rust's syntax (no look-around, no back-references)"
            ) from error
        if matches_nothing:
            raise ValueError("matches the empty text, and so would everything")
        return pattern


class RedactionKind(StrEnum):
    """What is looked for besides the tenant's own patterns."""

    SECRETS = "secrets"
    EMAIL = "email"
    PHONE = "phone"
    IBAN = "iban"
    CREDIT_CARD = "credit_card"
    SSN = "ssn"
    IP = "ip"


class Redaction(_Frozen):
    """What is removed at the door, before anything is written down."""

    mode: RedactionMode = RedactionMode.BODIES
    kinds: frozenset[RedactionKind] = frozenset(RedactionKind) - {RedactionKind.IP}
    patterns: Annotated[tuple[RedactionPattern, ...], Field(max_length=20)] = ()


class Currency(_Frozen):
    """The currency that costs are shown in, and what one US dollar is in it."""

    code: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = "USD"
    per_usd: Annotated[Decimal, Field(gt=0, le=10**9)] = Decimal(1)


class TenantSettings(_Frozen):
    """A tenant's settings.

    Examples
    --------
    >>> TenantSettings().retention_days.events
    90
    """

    retention_days: RetentionDays = RetentionDays()
    redaction: Redaction = Redaction()
    content_capture: bool = True
    currency: Currency = Currency()
    timezone: Annotated[str, Field(max_length=64)] = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        # "UTC" needs no zone data, which slim containers lack.
        if name != "UTC":
            try:
                ZoneInfo(name)
            except (ValueError, OSError, KeyError) as error:
                raise ValueError("is no time zone; write one like Europe/Berlin") from error
        return name
