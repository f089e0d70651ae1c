"""The broker URL of the embedded log."""

from pathlib import Path

from core.errors import SettingsError

#: How broker URLs look, for messages.
FORMS = "sqlite:////absolute/log.db, sqlite:///relative/log.db or kafka://host:port,… (docs/user-guide.md)"


def sqlite_path(url: str) -> Path:
    """The file of a ``sqlite:`` URL, with as many slashes as SQLAlchemy wants.

    Examples
    --------
    >>> sqlite_path("sqlite:////var/hub/log.db").as_posix()
    '/var/hub/log.db'
    >>> sqlite_path("sqlite:///hub/log.db").as_posix()
    'hub/log.db'
    """
    rest = url.removeprefix("sqlite://")
    if rest == url or not rest.startswith("/") or rest.strip("/") == "" or "?" in rest:
        raise SettingsError(f"The broker URL must be {FORMS}.")
    return Path(rest[1:])
