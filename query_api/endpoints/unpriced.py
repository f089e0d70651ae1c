"""``/v1/prices/unpriced``: models that were called and have no price."""

from fastapi import APIRouter, Response

from query_api.endpoints.analytics import page
from query_api.responses import PROBLEMS, AnswerModel, json
from query_api.services import Caller, Semantic
from query_api.window import PAGE, Cursor, From, Limit, To, build

router = APIRouter(tags=["prices"])


@router.get("/v1/prices/unpriced", summary="Models without a price", response_model=AnswerModel, responses=PROBLEMS)
async def unpriced(
    caller: Caller,
    semantic: Semantic,
    start: From = "now-7d",
    end: To = "now",
    limit: Limit = PAGE,
    cursor: Cursor = None,
) -> Response:
    """Models whose calls could not be priced, with how many calls that were of how many, most first."""
    question = build(
        {
            "measures": ["unpriced_requests", "requests"],
            "dimensions": ["model", "provider"],
            "time": {"from": start, "to": end},
            "order": [{"field": "unpriced_requests", "direction": "desc"}],
        }
    )
    body = await page(semantic, caller.tenant, question, limit, cursor)
    without = [row for row in body["rows"] if row[2]]
    if len(without) < len(body["rows"]):  # the first with a price: all that follow have one
        body["rows"], body["meta"]["cursor"] = without, None
    return json(body)
