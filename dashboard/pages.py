"""The router of the pages: ``/``, the static files, and signing in and out."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from core.errors import NotFound
from dashboard.assets import Asset
from dashboard.files import assets
from dashboard.security import COMMON, page_headers
from dashboard.shell import app_page, import_map
from dashboard.sign_in import router as sign_in_router

router = APIRouter(include_in_schema=False)
router.include_router(sign_in_router)

FOREVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


@router.get("/")
async def shell() -> HTMLResponse:
    """The page in which the dashboard runs; it holds no data, so it needs no credential."""
    files = assets()
    return HTMLResponse(app_page(files), headers=dict(page_headers(import_map(files))))


@router.get("/static/{name:path}")
async def static_file(name: str, request: Request) -> Response:
    """One static file: for ever below its version, otherwise revalidated by ETag."""
    asset = assets().get(name)
    if asset is None:
        raise NotFound(f"There is no file /static/{name}.")
    versioned = name.startswith(f"{assets().version}/")
    headers = {
        **COMMON,
        "ETag": asset.etag,
        "Cache-Control": FOREVER if versioned else ASK_AGAIN,
        "Vary": "Accept-Encoding",
    }
    if _matches(request.headers.get("if-none-match", ""), asset.etag):
        return Response(status_code=304, headers=headers)
    return _send(asset, headers, gzip="gzip" in request.headers.get("accept-encoding", ""))


def _send(asset: Asset, headers: dict[str, str], *, gzip: bool) -> Response:
    if gzip and asset.gzipped is not None:
        return Response(asset.gzipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=asset.media_type)
    return Response(asset.content, headers=headers, media_type=asset.media_type)


def _matches(header: str, etag: str) -> bool:
    """Whether one of the validators of ``If-None-Match`` is this one (weak comparison, as the RFC asks)."""
    given = {part.strip().removeprefix("W/") for part in header.split(",")}
    return etag in given or "*" in given
