"""Reading the objects of client libraries without trusting them: what is not there is None."""

from typing import Any

#: Exceptions of the clients → the words that the hub's other senders use.
_ERRORS = {
    "RateLimitError": "rate_limit",
    "APITimeoutError": "timeout",
    "APIConnectionError": "connection",
    "AuthenticationError": "authentication",
    "PermissionDeniedError": "permission_denied",
    "BadRequestError": "bad_request",
    "NotFoundError": "not_found",
    "ConflictError": "conflict",
    "UnprocessableEntityError": "unprocessable",
    "InternalServerError": "server_error",
    "OverloadedError": "overloaded",
}


def get(value: Any, *path: str) -> Any:
    """``value.a.b`` or ``value["a"]["b"]``; None as soon as something is missing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else getattr(value, name, None)
        if value is None:
            return None
    return value


def first(*values: Any) -> Any:
    """The first that is a number, a text or a flag; not one of the clients' marks for "not given"."""
    return next((value for value in values if isinstance(value, int | float | str)), None)


def given(**fields: Any) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value is not None}


def error_fields(error: BaseException) -> dict[str, Any]:
    """``status``, ``error_type`` and ``http_status_code`` of a failed call."""
    name = type(error).__name__
    status = first(get(error, "status_code"))
    return given(status="error", error_type=_ERRORS.get(name, name), http_status_code=status)
