"""The doors: one file each, and this explicit list of them."""

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter

from ingest.doors import adapters, events, langfuse

#: In the order of the documentation.
DOORS: Final[Sequence[APIRouter]] = (events.router, adapters.router, langfuse.router)
