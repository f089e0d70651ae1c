"""Where the warehouse is: the two forms of ``LLM_HUB_WAREHOUSE_URL``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from core.errors import SettingsError

FORMS: Final = (
    "`chdb:////absolute/dir`, `chdb://relative/dir`, `clickhouse://user:password@host:8123/db` or `clickhouses://…`"
)


@dataclass(frozen=True, slots=True)
class Folder:
    """The engine in this process, its data in ``path``."""

    path: Path
    database: str = "default"


@dataclass(frozen=True, slots=True)
class Server:
    """A ClickHouse server, reached over HTTP."""

    host: str
    port: int
    database: str = "default"
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False


def parse_address(url: str) -> Folder | Server:
    """Read a warehouse URL; ``?database=`` names another database than ``default``.

    Raises
    ------
    SettingsError
        For any other form. The message never repeats the URL: it may hold a password.

    Examples
    --------
    >>> parse_address("chdb:////var/lib/hub").path
    PosixPath('/var/lib/hub')
    >>> parse_address("clickhouse://reader:secret@db.example/events")
    Server(host='db.example', port=8123, database='events', user='reader', secure=False)
    """
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        return _folder(parts)
    if parts.scheme in ("clickhouse", "clickhouses"):
        return _server(parts)
    raise SettingsError(f"The warehouse URL must be {FORMS}.")


def _folder(parts: SplitResult) -> Folder:
    text = unquote(parts.netloc + parts.path)
    if not text.strip("/"):
        raise SettingsError(f"The warehouse URL names no folder; it must be {FORMS}.")
    path = "/" + text.lstrip("/") if text.startswith("/") else text
    return Folder(Path(path).absolute(), _database(parts, ""))


def _server(parts: SplitResult) -> Server:
    secure = parts.scheme == "clickhouses"
    try:
        port = parts.port or (8443 if secure else 8123)
    except ValueError:
        raise SettingsError("The port of the warehouse URL is no number.") from None
    if not parts.hostname:
        raise SettingsError(f"The warehouse URL names no host; it must be {FORMS}.")
    return Server(
        host=parts.hostname,
        port=port,
        database=_database(parts, parts.path.strip("/")),
        user=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        secure=secure,
    )


def _database(parts: SplitResult, named: str) -> str:
    name = parse_qs(parts.query).get("database", [named])[0] or "default"
    if not name.isidentifier():
        raise SettingsError("The database of the warehouse URL must be a plain name (letters, digits, _).")
    return name
