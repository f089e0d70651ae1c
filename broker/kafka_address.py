"""What a ``kafka://`` URL says: brokers, and how to be let in. One reading for the log, the streams and the bridge."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from core.errors import SettingsError

FORM: Final = (
    "kafka://[user:password@]host:port,… with ?security=ssl|sasl_plaintext|sasl_ssl, "
    "&mechanism=PLAIN|SCRAM-SHA-256|SCRAM-SHA-512 and &ca=, &cert=, &key= (files in PEM) where they are needed"
)
_PORT: Final = 9092
_SECURITY: Final = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_FILES: Final = ("ca", "cert", "key")


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Brokers and credentials.

    Parameters
    ----------
    servers
        ``host:port`` of some brokers.
    security
        ``plaintext``, ``ssl``, ``sasl_plaintext`` or ``sasl_ssl``.
    mechanism, user, password
        For SASL.
    ca, cert, key
        Files in PEM: who signed the brokers' certificates (else whom the system trusts), and the hub's own certificate
        with its key, where the brokers ask for one.
    """

    servers: tuple[str, ...]
    security: str = "plaintext"
    mechanism: str = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    cert: str = ""
    key: str = ""

    @property
    def sasl(self) -> bool:
        """Whether user and password are asked for."""
        return self.security.startswith("sasl_")

    def tls(self) -> ssl.SSLContext | None:
        """What a connection is encrypted with, if it is; the files are read now."""
        if not self.security.endswith("ssl"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
            if self.cert:
                context.load_cert_chain(self.cert, self.key)
        except (OSError, ssl.SSLError) as error:
            names = ", ".join(name for name in (self.ca, self.cert, self.key) if name)
            raise SettingsError(f"Kafka's certificates ({names or 'the system’s'}) cannot be read: {error}.") from error
        return context

    def options(self) -> dict[str, Any]:
        """What aiokafka's clients are told."""
        options: dict[str, Any] = {"bootstrap_servers": list(self.servers)}
        if self.security != "plaintext":
            options |= {"security_protocol": self.security.upper(), "ssl_context": self.tls()}
        if self.sasl:
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return options


def parse_address(url: str) -> KafkaAddress:
    """Read a ``kafka://`` URL.

    The port is 9092 where it is missing. With a user ``security`` is ``sasl_ssl`` unless given, with a certificate
    ``ssl``. User, password and files are percent-encoded where they have characters that a URL needs.

    Raises
    ------
    SettingsError
        It is none, or says what does not go together; never repeats the password.

    Examples
    --------
    >>> parse_address("kafka://a:9093,b").servers
    ('a:9093', 'b:9092')
    >>> parse_address("kafka://hub:s%40crt@a?mechanism=PLAIN")
    KafkaAddress(servers=('a:9092',), security='sasl_ssl', mechanism='PLAIN', user='hub', ca='', cert='', key='')
    """
    scheme, separator, rest = url.partition("://")
    authority, _, query = rest.partition("?")
    credentials, at, servers = authority.removesuffix("/").rpartition("@")
    if scheme != "kafka" or not separator or not servers or any(mark in servers for mark in "/#@ "):
        raise SettingsError(f"Kafka's address must be {FORM}.")
    user, _, password = (unquote(part) for part in credentials.partition(":"))
    said = _said(query)
    files = {name: said[name] for name in _FILES if name in said}
    security = said.get("security", "sasl_ssl" if at else "ssl" if files else "plaintext").lower()
    mechanism = said.get("mechanism", "SCRAM-SHA-512").upper()
    address = KafkaAddress(tuple(map(_server, servers.split(","))), security, mechanism, user, password, **files)
    _check(address)
    return address


def _said(query: str) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise SettingsError(f"What follows the ? in Kafka's address cannot be read; it must be {FORM}.") from None
    said = dict(pairs)
    known = ("security", "mechanism", *_FILES)
    unknown = sorted(set(said) - set(known))
    if unknown or len(said) < len(pairs):
        what = f"does not know {', '.join(unknown)}" if unknown else "says something twice"
        raise SettingsError(f"Kafka's address {what}; it may have {', '.join(known)}.")
    return said


def _check(address: KafkaAddress) -> None:
    wrong = ""
    if address.security not in _SECURITY:
        wrong = f"security must be one of {', '.join(_SECURITY)}"
    elif address.mechanism not in _MECHANISMS:
        wrong = f"mechanism must be one of {', '.join(_MECHANISMS)}"
    elif address.sasl and not (address.user and address.password):
        wrong = f"security={address.security} needs user and password"
    elif address.user and not address.sasl:
        wrong = f"security={address.security} has no use for a user: it must be sasl_ssl or sasl_plaintext"
    elif (address.ca or address.cert or address.key) and not address.security.endswith("ssl"):
        wrong = f"security={address.security} has no use for certificates"
    elif bool(address.cert) != bool(address.key):
        wrong = "cert and key are of use only together"
    else:
        missing = [name for name in (address.ca, address.cert, address.key) if name and not Path(name).is_file()]
        wrong = f"there is no file {missing[0]}" if missing else ""
    if wrong:
        raise SettingsError(f"Kafka's address: {wrong}.")


def _server(server: str) -> str:
    try:
        parts = urlsplit(f"//{server}")
        host, port = parts.hostname, parts.port or _PORT
    except ValueError:
        host, port = None, 0
    if not host:
        raise SettingsError(f"{server!r} in Kafka's address is no host:port; it must be {FORM}.")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
