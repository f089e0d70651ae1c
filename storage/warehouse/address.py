"""Where the warehouse is: the two forms of ``LLM_HUB_WAREHOUSE_URL``."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from core.errors import SettingsError

FORMS: Final = (
    "`chdb:////absolute/dir`, `chdb://relative/dir`, `clickhouse://user:password@host:8123/db` or `clickhouses://…`; "
    "a server may have several hosts between commas"
)
_OPTIONS: Final = frozenset({"database", "ca", "verify"})


@dataclass(frozen=True, slots=True)
class Folder:
    """The engine in this process, its data in ``path``."""

    path: Path
    database: str = "default"


@dataclass(frozen=True, slots=True)
class Host:
    """One place where a server answers."""

    name: str
    port: int


@dataclass(frozen=True, slots=True)
class Server:
    """A ClickHouse server or cluster, reached over HTTP.

    Parameters
    ----------
    hosts
        Any of them has all the tables; one that does not answer is left for the next.
    database, user, password
        As the server knows them.
    secure
        TLS.
    ca
        File of the certificates to trust; empty for those of the machine.
    verify
        Whether the server's certificate is checked.
    """

    hosts: tuple[Host, ...]
    database: str = "default"
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    ca: str = ""
    verify: bool = True


def parse_address(url: str) -> Folder | Server:
    """Read a warehouse URL; ``?database=`` names another database than ``default``.

    ``clickhouses://`` speaks TLS; ``?ca=FILE`` trusts the certificates of that file, ``?verify=false`` any.

    Raises
    ------
    SettingsError
        For any other form. The message never repeats the URL: it may hold a password.

    Examples
    --------
    >>> parse_address("chdb:////var/lib/hub").path
    PosixPath('/var/lib/hub')
    >>> parse_address("clickhouse://reader:secret@a.example,b.example:8124/events").hosts
    (Host(name='a.example', port=8123), Host(name='b.example', port=8124))
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
    login, _, places = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    options = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    if unknown := sorted(set(options) - _OPTIONS):
        raise SettingsError(f"The warehouse URL has an unknown option {unknown[0]!r}; there are {sorted(_OPTIONS)}.")
    if (options.keys() & {"ca", "verify"}) and not secure:
        raise SettingsError("`ca` and `verify` of the warehouse URL are of use with `clickhouses://` alone.")
    return Server(
        hosts=tuple(_host(place, 8443 if secure else 8123) for place in places.split(",")),
        database=_database(parts, parts.path.strip("/")),
        user=unquote(user) or "default",
        password=unquote(password),
        secure=secure,
        ca=options.get("ca", ""),
        verify=_flag(options.get("verify", "true")),
    )


def _host(place: str, usual: int) -> Host:
    parts = urlsplit(f"//{place}")
    try:
        port = parts.port or usual
    except ValueError:
        raise SettingsError("The port of the warehouse URL is no number.") from None
    if not parts.hostname:
        raise SettingsError(f"The warehouse URL names no host, or an empty one; it must be {FORMS}.")
    return Host(parts.hostname, port)


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise SettingsError("`verify` of the warehouse URL must be `true` or `false`.")
    return text.lower() in ("true", "1")


def _database(parts: SplitResult, named: str) -> str:
    name = parse_qs(parts.query).get("database", [named])[0] or "default"
    if not name.isidentifier():
        raise SettingsError("The database of the warehouse URL must be a plain name (letters, digits, _).")
    return name
