"""The files of this installation, shared by all pages."""

from functools import lru_cache

from dashboard.assets import Assets


@lru_cache(maxsize=1)
def assets() -> Assets:
    """The static files, read at the first request."""
    return Assets.read()
