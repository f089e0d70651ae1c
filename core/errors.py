"""Every error of the hub, in one tree.

::

    HubError                      status  raised when
    ├── BadRequest                  400   the body is no events, or cannot be read at all
    ├── Unauthenticated             401   no key, or a wrong, expired or revoked one
    ├── Forbidden                   403   the key is good but its role or scopes do not reach
    ├── NotFound                    404   no such thing *for this tenant*
    ├── Conflict                    409   a request with the same idempotency key is in flight, a name is taken
    ├── TooLarge                    413   a limit on bytes was passed
    ├── UnsupportedMediaType        415   content type or encoding nobody here reads
    ├── Unprocessable               422   understood, but wrong: names the field and, where it can, the right name
    ├── TooManyRequests             429   over the key's limit; carries ``retry_after``
    ├── SlowDown                    503   back-pressure: try the very same thing again after ``retry_after``
    ├── SettingsError               –     a setting is unknown or wrong: the start stops
    ├── Retryable                   503   the log, a sink or the metadata is down: keep the place and try again
    └── Poison                      –     a record that can never be processed: to the dead letters with its bytes

The doors and endpoints raise these; one handler turns them into RFC 9457 answers. Nothing else may reach a client.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class HubError(Exception):
    """Base of all errors; ``detail`` says what is wrong and what to do.

    Parameters
    ----------
    detail
        One sentence for the person who reads it. Never contains a secret or a traceback.
    extra
        Further members of the problem answer, for example ``{"field": "measures.0", "nearest": "cost_usd"}``.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra: dict[str, Any] = extra

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers that belong to the answer."""
        return {}


class BadRequest(HubError):
    """The request cannot be read at all."""

    status = 400
    title = "Bad request"


class Unauthenticated(HubError):
    """No credential, or one that is not valid."""

    status = 401
    title = "Not authenticated"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="llm-hub"'}


class Forbidden(HubError):
    """The credential is valid but does not reach this."""

    status = 403
    title = "Not allowed"


class NotFound(HubError):
    """No such thing for this tenant."""

    status = 404
    title = "Not found"


class Conflict(HubError):
    """The state of the resource does not allow it now."""

    status = 409
    title = "Conflict"


class TooLarge(HubError):
    """A limit on size was passed."""

    status = 413
    title = "Too large"


class UnsupportedMediaType(HubError):
    """A content type or encoding that is not read here."""

    status = 415
    title = "Unsupported media type"


class Unprocessable(HubError):
    """Well formed, but wrong; names the field."""

    status = 422
    title = "Unprocessable"


class _RetryAfter(HubError):
    """Base of those that ask the caller to come again later; ``retry_after`` in seconds."""

    def __init__(self, detail: str, *, retry_after: float = 1.0, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after = retry_after

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Retry-After": str(max(1, round(self.retry_after)))}


class TooManyRequests(_RetryAfter):
    """Over the key's limit."""

    status = 429
    title = "Too many requests"


class SlowDown(_RetryAfter):
    """Back-pressure: nothing was kept; the same request will do later."""

    status = 503
    title = "Busy"


class SettingsError(HubError):
    """A setting is unknown or wrong."""

    title = "Wrong setting"


class Retryable(_RetryAfter):
    """A part is down for now; the caller keeps its place and tries again."""

    status = 503
    title = "Unavailable"


class Poison(HubError):
    """A record that can never be processed, whatever is tried."""

    title = "Poison record"
