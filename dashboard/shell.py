"""The one HTML page that loads the modules, and the page to sign in on."""

import html
import json
from functools import cache
from pathlib import Path

from dashboard.assets import Assets

#: Bare names that vendored modules and ours import, and the files they mean.
IMPORTS = {
    "preact": "vendor/preact.js",
    "preact/hooks": "vendor/preact-hooks.js",
    "htm": "vendor/htm.js",
    "@preact/signals": "vendor/preact-signals.js",
    "@preact/signals-core": "vendor/signals-core.js",
    "uplot": "vendor/uplot.js",
}

#: In the order in which they apply.
STYLES = (
    "vendor/uplot.css",
    "styles/tokens.css",
    "styles/base.css",
    "styles/layout.css",
    "styles/panels.css",
    "styles/traces.css",
)

_TEMPLATES = Path(__file__).parent / "templates"


def import_map(assets: Assets) -> str:
    """The import map's text; its hash stands in the page's CSP."""
    return json.dumps({"imports": {name: f"/static/{assets.version}/{path}" for name, path in IMPORTS.items()}})


def app_page(assets: Assets) -> str:
    """The page in which the dashboard runs."""
    base = f"/static/{assets.version}"
    own = [name for name in assets.names(".js") if name != "theme-first.js"]
    preload = "\n".join(f'<link rel="modulepreload" href="{base}/{name}">' for name in own)
    modules = f'<script type="importmap">{import_map(assets)}</script>\n{preload}'
    head = f'{modules}\n<script type="module" src="{base}/main.js"></script>'
    return _page(assets, title="LLM Analytics Hub", head=head, body=_template("app"))


def sign_in_page(assets: Assets, *, problem: str = "", next_url: str = "/") -> str:
    """The form to sign in with; ``problem`` says why the last attempt failed."""
    note = f'<p class="notice error" role="alert">{html.escape(problem)}</p>\n' if problem else ""
    body = _template("sign-in").format(
        base=f"/static/{assets.version}", problem=note, next=html.escape(next_url, quote=True)
    )
    return _page(assets, title="Sign in · LLM Analytics Hub", head="", body=body)


def _page(assets: Assets, *, title: str, head: str, body: str) -> str:
    base = f"/static/{assets.version}"
    styles = "\n".join(f'<link rel="stylesheet" href="{base}/{name}">' for name in STYLES)
    return _template("page").format(title=title, base=base, styles=styles, head=head, body=body)


@cache
def _template(name: str) -> str:
    return (_TEMPLATES / f"{name}.html").read_text(encoding="utf-8")
