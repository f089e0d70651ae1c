"""``/v1/exports``: events, or an answer, as a file; streamed, in constant memory."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, Final

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from query_api.formats import MEDIA_TYPES, Encoder, Format, encoder
from query_api.responses import PROBLEMS
from query_api.services import Caller, Semantic
from query_api.window import Filters, From, To, Zone, build, parse_filter
from semantic.answer import Answer
from semantic.compile import time_range
from semantic.export import DEFAULT_COLUMNS, Export, Exporter, export_sql
from semantic.question import Question

router = APIRouter(tags=["exports"])

_FILE: Final[dict[int | str, dict[str, Any]]] = {
    **PROBLEMS,
    200: {"description": "The file.", "content": {name.split(";")[0]: {} for name in MEDIA_TYPES.values()}},
}
_TYPES: Final = {"integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}

FileFormat = Annotated[Format, Query(alias="format", description="The form of the file.")]
Gzipped = Annotated[bool, Query(description="The file compressed with gzip.")]
Formulas = Annotated[bool, Query(description="CSV: leave text that a spreadsheet would take for a formula as it is.")]


class ExportQuestion(BaseModel):
    """A question, and the form of the file that answers it."""

    model_config = ConfigDict(extra="forbid")

    question: Question
    format: Format = "csv"
    gzip: bool = False
    keep_formulas: bool = Field(False, description="CSV: leave text that a spreadsheet would take for a formula.")


def _headers(kind: Format, name: str, gzip: bool) -> tuple[str, dict[str, str]]:
    ending = f"{kind}.gz" if gzip else kind
    media = "application/gzip" if gzip else MEDIA_TYPES[kind]
    return media, {"Content-Disposition": f'attachment; filename="{name}.{ending}"', "Cache-Control": "no-store"}


@router.get("/v1/exports", summary="Events as a file", response_class=StreamingResponse, responses=_FILE)
async def events(
    request: Request,
    caller: Caller,
    semantic: Semantic,
    kind: FileFormat = "csv",
    filters: Filters = [],  # noqa: B006 - FastAPI copies defaults
    start: From = "now-1h",
    end: To = "now",
    time_zone: Zone = "UTC",
    columns: Annotated[
        str | None, Query(max_length=4000, description="Names separated by commas; default all but contents.")
    ] = None,
    limit: Annotated[int | None, Query(ge=1, description="Most events; default all.")] = None,
    gzip: Gzipped = False,
    keep_formulas: Formulas = False,
) -> Response:
    """Every event of the range, by type and time."""
    question = build(
        {
            "measures": ["events"],
            "time": {"from": start, "to": end},
            "time_zone": time_zone,
            "filters": [parse_filter(text, index) for index, text in enumerate(filters)],
        }
    )
    names = DEFAULT_COLUMNS if columns is None else tuple(columns.split(","))
    since, until = time_range(question, semantic.now())
    wanted = Export(since, until, names, question.filters, limit)
    export_sql(caller.tenant, wanted)
    batches = _exporter(request).batches(caller.tenant, wanted)
    first = await anext(batches, None)
    media, headers = _headers(kind, "events", gzip)
    if first is None:
        first = pa.RecordBatch.from_pylist([], pa.schema([(name, pa.string()) for name in names]))
    writer = encoder(kind, first.schema, gzip=gzip, keep_formulas=keep_formulas)
    return StreamingResponse(_pieces(writer, first, batches), media_type=media, headers=headers)


async def _pieces(
    writer: Encoder, first: pa.RecordBatch, batches: AsyncIterator[pa.RecordBatch]
) -> AsyncIterator[bytes]:
    """The file; encoding happens off the event loop."""
    yield await asyncio.to_thread(writer.add, first)
    async for batch in batches:
        yield await asyncio.to_thread(writer.add, batch)
    yield await asyncio.to_thread(writer.finish)


def _exporter(request: Request) -> Exporter:
    """The app's one exporter: it counts the exports under way."""
    state = request.app.state
    if not hasattr(state, "exporter"):
        state.exporter = Exporter(state.warehouse)
    found: Exporter = state.exporter
    return found


@router.post("/v1/exports", summary="An answer as a file", response_class=Response, responses=_FILE)
async def answer(wanted: ExportQuestion, caller: Caller, semantic: Semantic) -> Response:
    """What `/v1/query` answers, as a file."""
    found = await semantic.ask(caller.tenant, wanted.question)
    body = await asyncio.to_thread(_encoded, found, wanted)
    media, headers = _headers(wanted.format, "answer", wanted.gzip)
    return Response(body, media_type=media, headers=headers)


def _encoded(found: Answer, wanted: ExportQuestion) -> bytes:
    schema = pa.schema([(column.name, _TYPES.get(column.type, pa.string())) for column in found.columns])
    columns: Sequence[Any] = list(zip(*found.rows, strict=True)) or [[] for _ in found.columns]
    arrays = [pa.array(list(values), field.type) for values, field in zip(columns, schema, strict=True)]
    writer = encoder(wanted.format, schema, gzip=wanted.gzip, keep_formulas=wanted.keep_formulas)
    return writer.add(pa.RecordBatch.from_arrays(arrays, schema=schema)) + writer.finish()
