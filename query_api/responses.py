"""Answers as OpenAPI documents them; the bytes themselves are written by orjson."""

from typing import Any, Final

import orjson
from fastapi import Response
from pydantic import BaseModel, Field

Scalar = str | int | float | bool | None


class Column(BaseModel):
    """A column of an answer."""

    name: str
    type: str = Field(description="`time`, `string`, `integer`, `number` or `boolean`.")
    unit: str = ""


class Meta(BaseModel):
    """About an answer."""

    elapsed_ms: float = Field(description="Time the hub took.")
    rows_read: int = Field(description="Rows the engine read.")
    source: str = Field(description="Tables it came from, coarsest first.")
    watermark: str | None = Field(None, description="Up to when everything is visible.")
    start: str = Field(alias="from", description="Start of the range.")
    end: str = Field(alias="to", description="End of the range, not included.")
    truncated: bool = Field(False, description="Whether there was more than one answer may hold.")
    cursor: str | None = Field(None, description="Where the next page begins, of pages.")


class AnswerModel(BaseModel):
    """Columns, rows and what is to be known about them."""

    columns: list[Column]
    rows: list[list[Scalar]]
    meta: Meta


class Problem(BaseModel):
    """An error (RFC 9457), as ``application/problem+json``."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = Field(None, description="Path of the wrong field.")
    nearest: str | None = Field(None, description="The nearest right name.")


def _problem(description: str) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": description, "model": Problem, "content": content}


#: What every endpoint that asks may answer besides.
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: _problem("No key, or a wrong one."),
    403: _problem("The key's scopes or role do not reach."),
    422: _problem("Understood, but wrong; names the field and, where it can, the right name."),
    429: _problem("Over a limit; comes with `Retry-After`."),
    503: _problem("Busy or a part is down; comes with `Retry-After`."),
}

#: The same for endpoints that name one thing.
PROBLEMS_OF_ONE: Final[dict[int | str, dict[str, Any]]] = {404: _problem("No such thing."), **PROBLEMS}


def json(body: Any) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(body), media_type="application/json")
