"""W3C Trace Context: the ``traceparent`` header, out to other services and in from them."""

import re
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from llm_hub.context import CURRENT, context

_TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?", re.ASCII)


def inject(headers: MutableMapping[str, str]) -> MutableMapping[str, str]:
    """Write the current trace and span into ``headers`` of a request to another service; gives ``headers`` back.

    Outside of a span nothing is written.
    """
    scope = CURRENT.get()
    if scope.trace_id and scope.span_id:
        headers["traceparent"] = f"00-{scope.trace_id}-{scope.span_id}-01"
    return headers


def extract(headers: Mapping[str, Any]) -> context:
    """A context that goes on with the trace of an incoming request: ``with llm_hub.extract(request.headers): ...``.

    Names are looked for in any case, values may be bytes. Without a valid header the context changes nothing.
    """
    for name, value in headers.items():
        if _text(name).lower() == "traceparent":
            found = _TRACEPARENT.fullmatch(_text(value).strip().lower())
            if found and _valid(*found.groups()):
                return context(trace_id=found[2], span_id=found[3])
    return context()


def _valid(version: str, trace_id: str, span_id: str, rest: str | None) -> bool:
    return version != "ff" and not (version == "00" and rest) and bool(int(trace_id, 16) and int(span_id, 16))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
