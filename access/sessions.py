"""Signing in to the pages: one-time links, and the signed cookie they are exchanged for."""

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from sqlalchemy import delete, select, update

from core.clock import Clock
from core.errors import Unauthenticated
from storage.metadata.database import Metadata
from storage.metadata.models import SignInLink

_REFUSED = "This session has ended or is not valid; sign in again, with a key or a new link."


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """How long a sign-in link waits, and how long a session lasts."""

    link_lifetime: timedelta = timedelta(minutes=15)
    session_lifetime: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class SignIn:
    """Whose session it is: the key or user (``subject``) that must still be good at each request."""

    tenant: str
    subject: str


class Sessions:
    """Makes links, exchanges each once for a cookie's value, and reads that value back.

    The cookie holds no secret: a tenant, a subject and an expiry under an HMAC. It is valid only as long as its
    subject is, so revoking a key or disabling a user ends the sessions too.
    """

    def __init__(self, metadata: Metadata, clock: Clock, key: bytes, config: SessionConfig) -> None:
        self._metadata = metadata
        self._clock = clock
        self._key = key
        self._config = config

    @property
    def lifetime(self) -> timedelta:
        """How long a cookie is good for."""
        return self._config.session_lifetime

    async def create_link(self, tenant: str, subject: str, lifetime: timedelta | None = None) -> tuple[str, datetime]:
        """A one-time token for ``/sign-in?token=…`` and when it ends; links long ended are cleared away."""
        token, now = secrets.token_urlsafe(32), self._clock.now()
        expires_at = now + (lifetime or self._config.link_lifetime)
        link = SignInLink(
            token_hash=_hash(token), tenant=tenant, subject=subject, created_at=now, expires_at=expires_at
        )
        async with self._metadata.session() as session:
            await session.execute(delete(SignInLink).where(SignInLink.expires_at <= now))
            session.add(link)
        return token, expires_at

    async def exchange(self, token: str) -> str:
        """The session cookie's value for a link's token; raises :class:`Unauthenticated` the second time."""
        name, now = _hash(token), self._clock.now()
        good = (SignInLink.token_hash == name, SignInLink.used_at.is_(None), SignInLink.expires_at > now)
        async with self._metadata.session() as session:
            link = (await session.scalars(select(SignInLink).where(*good).with_for_update())).one_or_none()
            if link is None:
                raise Unauthenticated("This sign-in link was used, has expired or never was; ask for a new one.")
            await session.execute(update(SignInLink).where(SignInLink.token_hash == name).values(used_at=now))
        return self.open(SignIn(link.tenant, link.subject))

    def open(self, sign_in: SignIn) -> str:
        """A cookie's value for somebody who is authenticated already (a key typed into the page)."""
        ends = int((self._clock.now() + self._config.session_lifetime).timestamp())
        payload = _encode(orjson.dumps([sign_in.tenant, sign_in.subject, ends]))
        return f"{payload}.{_encode(self._mac(payload))}"

    def read(self, cookie: str) -> SignIn:
        """Who a cookie's value was made for; raises :class:`Unauthenticated` when altered or ended."""
        payload, _, mac = cookie.partition(".")
        if not cookie.isascii() or not hmac.compare_digest(_encode(self._mac(payload)), mac):
            raise Unauthenticated(_REFUSED)
        try:
            tenant, subject, ends = orjson.loads(base64.urlsafe_b64decode(payload + "=="))
        except (ValueError, binascii.Error) as error:
            raise Unauthenticated(_REFUSED) from error
        if self._clock.now() >= datetime.fromtimestamp(ends, UTC):
            raise Unauthenticated(_REFUSED)
        return SignIn(tenant, subject)

    def _mac(self, payload: str) -> bytes:
        return hmac.digest(self._key, payload.encode(), hashlib.sha256)


def _hash(token: str) -> bytes:
    # As random as a key's secret, so a fast hash does (see access.keys.hash_secret).
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
