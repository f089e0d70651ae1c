"""The headers of every page: nothing from elsewhere, nothing inline but what is named by its hash."""

import base64
import hashlib
from collections.abc import Mapping


def script_hash(text: str) -> str:
    """The CSP source that allows exactly this inline script.

    Examples
    --------
    >>> script_hash("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def page_headers(*inline_scripts: str) -> Mapping[str, str]:
    """Security headers of a page that holds these inline scripts and no others."""
    scripts = " ".join(["'self'", *(script_hash(text) for text in inline_scripts)])
    policy = [
        "default-src 'self'",
        f"script-src {scripts}",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
    return {
        "Content-Security-Policy": "; ".join(policy),
        "X-Frame-Options": "DENY",
        **COMMON,
        "Cache-Control": "no-store",
    }


#: On files as well as pages.
COMMON: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
