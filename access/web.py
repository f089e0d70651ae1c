"""The FastAPI dependency that every door and endpoint uses, and the session cookie."""

import base64
from collections.abc import Sequence

from fastapi import Request, Response
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from access.audit import Actor
from access.principal import Principal, Role, Scope
from access.service import Access
from core.errors import Forbidden, Unauthenticated
from core.traces import TENANT

SESSION_COOKIE = "llm_hub_session"

#: Pages send ``X-Requested-With: llm-hub`` with every unsafe request: another site's form or script cannot.
CSRF_HEADER, CSRF_VALUE = "x-requested-with", "llm-hub"

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
MISSING = "Send a key: 'Authorization: Bearer lh_…' or 'X-API-Key: lh_…' (llm-hub keys create makes one)."
_AMBIGUOUS = "Send one credential, once: 'Authorization: Bearer lh_…' or 'X-API-Key: lh_…'."
_SCHEME = "Write the header as 'Authorization: Bearer lh_…'."
_BASIC = "Send Basic credentials as base64 of 'user:lh_…': the hub's key is the password (Langfuse's secret key)."
_CROSS_SITE = "This request does not come from the hub's own pages; send a key, or X-Requested-With: llm-hub."


class Require(SecurityBase):
    """Lets a caller through who has *one* of the scopes and at least the role, within the key's rate limit.

    Raises Unauthenticated (401), Forbidden (403) or TooManyRequests (429), and puts the
    :class:`Principal` on ``request.state.principal``. Build it with :func:`require`.
    """

    def __init__(self, scopes: tuple[Scope, ...], role: Role, *, basic: bool = False, bare: bool = False) -> None:
        self.scopes = scopes
        self.role = role
        self.basic = basic
        self.bare = bare
        self.model = HTTPBearer(description="An API key, lh_…; X-API-Key: lh_… does as well.")
        self.scheme_name = "key"

    async def __call__(self, request: Request) -> Principal:
        access: Access = request.app.state.access
        principal = await identify(request, access, basic=self.basic, bare=self.bare)
        request.state.principal = principal
        TENANT.set(principal.tenant)
        self.admit(principal, access)
        return principal

    def admit(self, principal: Principal, access: Access) -> None:
        """Raise unless the caller may come in now; counts the request."""
        self._check(principal)
        access.limits.take_request(principal)

    def _check(self, principal: Principal) -> None:
        if self.scopes and principal.scopes.isdisjoint(self.scopes):
            wanted = " or ".join(f"'{scope}'" for scope in self.scopes)
            raise Forbidden(f"This needs the scope {wanted}; use a key that has it.")
        if not principal.role.reaches(self.role):
            raise Forbidden(f"This needs the role {self.role}; yours is {principal.role}.")


def require(*scopes: str, role: str = Role.VIEWER, basic: bool = False, bare: bool = False) -> Require:
    """The dependency of a route: ``principal: Annotated[Principal, Depends(require("query"))]``.

    Parameters
    ----------
    scopes
        One of them is enough; none at all means that any credential does.
    role
        The least role: what changes dashboards, rules or detectors asks for ``developer``.
    basic
        Whether the key may also be the password of ``Authorization: Basic``, for clients that know no other way.
    bare
        Whether ``Authorization`` may also be the key and nothing else.
    """
    return Require(tuple(Scope(scope) for scope in scopes), Role(role), basic=basic, bare=bare)


async def identify(request: Request, access: Access, *, basic: bool = False, bare: bool = False) -> Principal:
    """Who sends a request; raises :class:`Unauthenticated`, or :class:`Forbidden` for a forged page request."""
    headers = request.headers
    bearers, plain = headers.getlist("authorization"), headers.getlist("x-api-key")
    secret = secret_of(bearers, plain, basic=basic, bare=bare)
    if secret is not None:
        return await access.authenticate(secret)
    cookie = request.cookies.get(SESSION_COOKIE)
    if cookie is None:
        raise Unauthenticated(MISSING)
    principal = await access.authenticate_session(cookie)
    _refuse_cross_site(request)
    return principal


def actor_of(request: Request, principal: Principal) -> Actor:
    """Who the audit log names for a request."""
    return Actor(principal.key_id, request.client.host if request.client else None)


def set_session_cookie(response: Response, value: str, access: Access) -> None:
    """Send what :meth:`access.sessions.Sessions.exchange` gave, out of reach of scripts and other sites."""
    response.set_cookie(
        SESSION_COOKIE,
        value,
        max_age=int(access.sessions.lifetime.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=access.config.secure_cookies,
    )


def clear_session_cookie(response: Response) -> None:
    """Sign out."""
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")


def secret_of(bearers: Sequence[str], plain: Sequence[str], *, basic: bool = False, bare: bool = False) -> str | None:
    """The key that a caller sends, if any; raises :class:`Unauthenticated` where it is not written as one.

    Parameters
    ----------
    bearers, plain
        The values of ``Authorization`` and of ``X-API-Key``.
    basic, bare
        See :func:`require`.
    """
    if not bearers and not plain:
        return None
    if len(bearers) + len(plain) > 1:
        raise Unauthenticated(_AMBIGUOUS)
    if plain:
        return plain[0].strip()
    scheme, _, secret = bearers[0].partition(" ")
    if basic and scheme.lower() == "basic":
        return _password(secret.strip())
    if bare and not secret:
        return scheme
    if scheme.lower() != "bearer":
        raise Unauthenticated(_SCHEME)
    return secret.strip()


def _password(credentials: str) -> str:
    """The password of ``user:password`` in base64."""
    try:
        _, colon, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:
        colon, password = "", ""
    if not colon:
        raise Unauthenticated(_BASIC)
    return password


def _refuse_cross_site(request: Request) -> None:
    if request.method in _SAFE:
        return
    site = request.headers.get("sec-fetch-site", "same-origin")
    if request.headers.get(CSRF_HEADER) != CSRF_VALUE or site not in ("same-origin", "none"):
        raise Forbidden(_CROSS_SITE)
