"""Signing in: an API key, or a one-time link, is exchanged for a session cookie that scripts cannot read."""

from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from access.principal import Scope
from access.service import Access
from access.sessions import SignIn
from access.web import clear_session_cookie, set_session_cookie
from core.errors import BadRequest, Forbidden, TooLarge, Unauthenticated
from dashboard.files import assets
from dashboard.security import page_headers
from dashboard.shell import sign_in_page

MAX_FORM_BYTES = 8 << 10

router = APIRouter(include_in_schema=False)


@router.get("/sign-in")
async def sign_in(request: Request, token: str = "", next: str = "/") -> Response:  # noqa: A002 - the name in the address
    """The form; with ``token`` a one-time link, which opens a session and leaves for the pages."""
    if not token:
        return _form(next_url=next)
    access: Access = request.app.state.access
    try:
        session = await access.sessions.exchange(token)
    except Unauthenticated as error:
        return _form(problem=error.detail, next_url=next, status=401)
    return _enter(session, access, next)


@router.post("/sign-in")
async def sign_in_with_key(request: Request) -> Response:
    """Exchange the key of the form for a session; the key itself is kept nowhere."""
    form = await _read_form(request)
    next_url = form.get("next", "/")
    access: Access = request.app.state.access
    try:
        session = await _open_session(access, form.get("key", "").strip())
    except (Unauthenticated, Forbidden) as error:
        return _form(problem=error.detail, next_url=next_url, status=error.status)
    return _enter(session, access, next_url)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """Forget the session in this browser."""
    _refuse_other_sites(request)
    response = RedirectResponse("/sign-in", status_code=303)
    clear_session_cookie(response)
    return response


async def _open_session(access: Access, secret: str) -> str:
    principal = await access.authenticate(secret)
    if not principal.has(Scope.QUERY):
        raise Forbidden("This key may not ask questions; use one with the scope 'query'.")
    return access.sessions.open(SignIn(principal.tenant, principal.key_id))


async def _read_form(request: Request) -> dict[str, str]:
    _refuse_other_sites(request)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise TooLarge(f"The sign-in form takes at most {MAX_FORM_BYTES} bytes.")
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=8)
    except ValueError as error:
        raise BadRequest("The sign-in form has the fields 'key' and 'next'.") from error
    return {name: values[0] for name, values in fields.items()}


def _refuse_other_sites(request: Request) -> None:
    """Another site must not sign somebody in as somebody else, nor out."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("Sign in from the hub's own page.")


def _form(*, problem: str = "", next_url: str = "/", status: int = 200) -> Response:
    page = sign_in_page(assets(), problem=problem, next_url=safe_next(next_url))
    return HTMLResponse(page, status_code=status, headers=dict(page_headers()))


def _enter(session: str, access: Access, next_url: str) -> Response:
    response = RedirectResponse(safe_next(next_url), status_code=303, headers={"Cache-Control": "no-store"})
    set_session_cookie(response, session, access)
    return response


def safe_next(url: str) -> str:
    """A path of this hub, whatever was asked for: signing in never leads elsewhere.

    Examples
    --------
    >>> safe_next("/#/traces?range=1h"), safe_next("https://evil.example/"), safe_next("//evil.example")
    ('/#/traces?range=1h', '/', '/')
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    plain = url.isprintable() and "\\" not in url and not url.startswith("//")
    if parts.scheme or parts.netloc or not plain or parts.path != "/":
        return "/"
    return quote(url, safe="/#?&=%~,:;+@!$'()*[]")
