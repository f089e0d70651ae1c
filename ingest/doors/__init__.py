"""The doors: one file each, and this explicit list of them."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from ingest.doors import adapters, events, langfuse, langfuse_otlp, langfuse_scores, opik_otlp, otlp, posthog_otlp

#: In the order of the documentation.
DOORS: Final[Sequence[APIRouter]] = (
    events.router,
    otlp.router,
    adapters.router,
    langfuse.router,
    langfuse_scores.router,
    langfuse_otlp.router,
    opik_otlp.router,
    posthog_otlp.router,
)
