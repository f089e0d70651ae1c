"""Logging of the process: text for people, one JSON object a line for machines, on standard error."""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

from core.traces import TENANT, TRACE_ID

logger = logging.getLogger("llm_hub")

#: Libraries that talk too much at INFO.
_QUIET = (
    "aiokafka",
    "aiosqlite",
    "alembic",
    "asyncio",
    "broker",
    "faust",
    "httpx",
    "kafka",
    "mode",
    "opentelemetry",
    "uvicorn",
)


class JsonFormatter(logging.Formatter):
    """``{"time", "level", "logger", "message", "role"[, "trace_id"][, "tenant"][, "exception"][, "stack"]}``.

    Always one line of JSON, whatever was logged.

    Parameters
    ----------
    role
        Of the process.
    """

    def __init__(self, role: str = "all") -> None:
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            "role": self._role,
        }
        if trace_id := TRACE_ID.get():
            entry["trace_id"] = trace_id
        if tenant := TENANT.get():
            entry["tenant"] = tenant
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            entry["stack"] = record.stack_info
        return json.dumps(entry)


def _message(record: logging.LogRecord) -> str:
    """The message; a library's mistake in its arguments must not break the line."""
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg} {record.args!r}"


def configure(level: str, form: Literal["text", "json"], role: str = "all") -> None:
    """Send the process's log to standard error, and in JSON also what Python would print there by itself."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")
    handler.setFormatter(JsonFormatter(role) if form == "json" else plain)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    if form == "json":
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_in_thread
        sys.unraisablehook = _unraisable


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logger.critical("the process ends: %s", kind.__name__, exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        name = args.thread.name if args.thread else "a thread"
        logger.error("%s ends: %s", name, args.exc_type.__name__, exc_info=args.exc_value)


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    logger.error("%s in %r", args.err_msg or "an exception was ignored", args.object, exc_info=args.exc_value)
