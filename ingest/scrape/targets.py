"""Whom the scraper asks, as the operator writes it."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Target:
    """A worker's metrics page, and the tenant its samples belong to."""

    tenant: str
    url: str

    @property
    def worker(self) -> str:
        """The worker's name: host and port."""
        return urlsplit(self.url).netloc


def parse_targets(text: str) -> tuple[Target, ...]:
    """Targets written as ``TENANT=URL``, or ``URL`` for the tenant ``default``, between spaces or commas.

    Loopback and private addresses are fine: the operator names them, not a tenant.

    Raises
    ------
    ValueError
        One is no such thing; says which.

    Examples
    --------
    >>> [(t.tenant, t.worker) for t in parse_targets("http://127.0.0.1:8000/metrics, acme=https://gpu-1/metrics")]
    [('default', '127.0.0.1:8000'), ('acme', 'gpu-1')]
    """
    return tuple(_target(one) for one in re.split(r"[,\s]+", text) if one)


def _target(text: str) -> Target:
    tenant, equals, url = text.partition("=")
    if not equals or "/" in tenant:
        tenant, url = "default", text
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} must be TENANT=URL or URL, with http:// or https://")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError(f"{text!r} has a port that is none") from None
    if "@" in parts.netloc:
        raise ValueError(f"the address of {parts.hostname!r} must not hold a user or password")
    if not _TENANT.fullmatch(tenant):
        raise ValueError(f"{tenant!r} is no tenant")
    return Target(tenant, url)
