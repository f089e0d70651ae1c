"""The endpoints: one file each, and this explicit list of them."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from query_api.endpoints import (
    analytics,
    audit,
    backups,
    dead_letters,
    events,
    exports,
    health,
    keys,
    live,
    metrics,
    prices,
    query,
    reprocess,
    schemas,
    tenants,
    traces,
    unpriced,
    users,
)

#: What every process answers, whatever its role.
OPERATION: Final[Sequence[APIRouter]] = (health.router, metrics.router)

#: In the order of the documentation; a fixed path comes before one with a name in its place.
ENDPOINTS: Final[Sequence[APIRouter]] = (
    query.router,
    analytics.router,
    traces.router,
    events.router,
    exports.router,
    live.router,
    unpriced.router,
    schemas.router,
    prices.router,
    reprocess.router,
    tenants.router,
    keys.router,
    users.router,
    audit.router,
    backups.router,
    dead_letters.router,
    *OPERATION,
)
