"""``log.record``: one line of a log."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Content, Detail, Dimension, choice


class LogRecord(EventData):
    """One line of a log."""

    TYPE: ClassVar[str] = "log.record"
    SOURCE: ClassVar[str] = "observatory"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "body": "retrying after 429",
        "severity": "warn",
        "service": "gateway",
    }

    body: Content = Field(description="The line, text or structured.")
    severity: Annotated[Literal["trace", "debug", "info", "warn", "error", "fatal"], choice()] | None = Field(
        None, description="`trace` … `fatal`."
    )
    logger: Detail | None = Field(None, description="Name of the logger.")
    service: Dimension | None = Field(None, description="Service that wrote it.")
