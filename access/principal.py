"""Who is asking, and what each role may do."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a credential may be used for."""

    INGEST = "ingest"
    QUERY = "query"
    ADMIN = "admin"
    HUB = "hub"


class Role(StrEnum):
    """What somebody is within the tenant; see :data:`ROLE_SCOPES`."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    ADMIN = "admin"

    def reaches(self, other: "Role") -> bool:
        """Whether this role may do all that the other may."""
        return _RANK[self] >= _RANK[other]


_RANK = {Role.VIEWER: 0, Role.DEVELOPER: 1, Role.ADMIN: 2}

#: The scopes that a key or user of a role can have at most. Viewers ask; developers send and ask, and change
#: dashboards, alert rules and detectors; admins manage the tenant, and with ``hub`` every tenant.
ROLE_SCOPES: dict[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.QUERY}),
    Role.DEVELOPER: frozenset({Scope.QUERY, Scope.INGEST}),
    Role.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Most requests and events a second; ``None`` is no limit."""

    requests_per_second: float | None = None
    events_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. Holds no secret, so it may be logged.

    Attributes
    ----------
    tenant
        The only tenant whose data this caller reaches.
    key_id
        The key's public id, or ``user:<id>`` for a person who signed in.
    scopes
        Already cut down to what the role may have.
    expires_at
        When the credential behind it ends.
    session
        Whether it came from a cookie, which browsers send by themselves: unsafe methods then need a header.
    """

    tenant: str
    key_id: str
    role: Role
    scopes: frozenset[Scope]
    rate_limit: RateLimit = field(default_factory=RateLimit)
    expires_at: datetime | None = None
    session: bool = False

    def has(self, *scopes: str) -> bool:
        """Whether it has at least one of the scopes."""
        return not self.scopes.isdisjoint(Scope(scope) for scope in scopes)
