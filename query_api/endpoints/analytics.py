"""``/v1/analytics/…``: the named questions of :data:`query_api.analytics.ANALYTICS`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from query_api.analytics import ANALYTICS, Analysis
from query_api.paging import first_place, fixed, moments, place_of
from query_api.responses import PROBLEMS, AnswerModel, json
from query_api.services import Caller, Semantic
from query_api.window import PAGE, Cursor, Filters, From, Limit, To, Zone, build, parse_filter
from semantic.compile import time_range
from semantic.layer import SemanticLayer
from semantic.question import MAX_ROWS, Question

router = APIRouter(tags=["analytics"])

By = Annotated[
    str | None,
    Query(max_length=1000, description="Dimensions in place of its own, separated by commas; empty for none."),
]
Granularity = Annotated[str | None, Query(max_length=32, description="`1m`, `1h`, `1d`, `auto` …; adds `time`.")]
Compare = Annotated[Literal["previous_period"] | None, Query(description="Adds `<measure>__previous`.")]
Currency = Annotated[str | None, Query(pattern="^[A-Z]{3}$", description="Shows money in this currency.")]


async def page(
    semantic: SemanticLayer, tenant: str, question: Question, limit: int, cursor: str | None
) -> dict[str, Any]:
    """One page of an answer, and the cursor of the next."""
    place = first_place(*time_range(question, semantic.now())) if cursor is None else place_of(cursor)
    start, end = moments(place)
    last = place.offset + limit
    whole = question.granularity is not None
    asked = fixed(question, start, end).model_copy(update={} if whole else {"limit": min(last + 1, MAX_ROWS)})
    answer = await semantic.ask(tenant, asked)
    more = len(answer.rows) > last
    body = answer.as_dict()
    body["rows"] = answer.rows[place.offset : last]
    following = type(place)(last, place.start, place.end).text() if more else None
    body["meta"] = {**answer.meta, "cursor": following, "truncated": answer.meta["truncated"] and whole}
    return body


def _endpoint(analysis: Analysis) -> Callable[..., Awaitable[Response]]:
    async def endpoint(
        caller: Caller,
        semantic: Semantic,
        filters: Filters = [],  # noqa: B006 - FastAPI copies defaults
        start: From = "now-1h",
        end: To = "now",
        time_zone: Zone = "UTC",
        by: By = None,
        granularity: Granularity = analysis.granularity,
        compare: Compare = None,
        currency: Currency = None,
        limit: Limit = PAGE,
        cursor: Cursor = None,
    ) -> Response:
        dimensions = analysis.dimensions if by is None else tuple(name for name in by.split(",") if name)
        question = build(
            {
                "measures": analysis.measures,
                "dimensions": dimensions,
                "granularity": granularity or None,
                "time": {"from": start, "to": end},
                "time_zone": time_zone,
                "filters": [
                    *(parse_filter(text, index) for index, text in enumerate(filters)),
                    *({"field": field, "op": op, "values": values} for field, op, *values in analysis.filters),
                ],
                "order": [{"field": analysis.order, "direction": "desc"}] if analysis.order else [],
                "compare": compare,
                "currency": currency,
            }
        )
        return json(await page(semantic, caller.tenant, question, limit, cursor))

    endpoint.__doc__ = f"{analysis.summary}. Measures: {', '.join(f'`{name}`' for name in analysis.measures)}."
    return endpoint


for _analysis in ANALYTICS:
    router.add_api_route(
        f"/v1/analytics/{_analysis.name}",
        _endpoint(_analysis),
        methods=["GET"],
        name=f"analytics_{_analysis.name.replace('-', '_')}",
        summary=_analysis.summary,
        response_model=AnswerModel,
        responses=PROBLEMS,
    )
