"""``POST /api/public/scores``: scores of Langfuse's clients since version 5; older ones send them in batches."""

from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response

from core.errors import BadRequest, TooLarge, Unprocessable
from core.ids import uuid7
from ingest.doors.langfuse import Sender, take_items
from ingest.langfuse.ingestion import Answers

router = APIRouter(tags=["events in"])

_OBJECT: Final = {"application/json": {"schema": {"type": "object"}}}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The `id` of the one score that was sent; it is durable.", "content": _OBJECT},
    202: {"description": "All scores are durable.", "content": _OBJECT},
    207: {"description": "Some scores are wrong: `accepted`, `rejected`, `errors`.", "content": _OBJECT},
    400: {"description": "The body is neither a score nor a list of them."},
    413: {"description": "Larger than 16 MiB, or 64 MiB decompressed."},
    422: {"description": "The one score that was sent is wrong."},
    503: {"description": "Busy; send the same again after `Retry-After` seconds."},
}
_SCORE: Final = {"type": "object", "required": ["name", "value"]}
REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {"application/json": {"schema": {"oneOf": [_SCORE, {"type": "array", "items": _SCORE}]}}},
}


class _Scores:
    """The scores of a body, as the items of a batch that would say the same."""

    def __init__(self) -> None:
        self.listed = False

    def read(self, body: bytes, most: int) -> list[Any]:
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"the body is not JSON: {error}") from None
        self.listed = isinstance(value, list)
        if not isinstance(value, dict | list):
            raise BadRequest('the body is no score: send {"name", "value", "traceId", …} or a list of them')
        scores = value if isinstance(value, list) else [value]
        if len(scores) > most:
            raise TooLarge(f"the list has more than {most} scores; send it in parts", limit=most)
        return [_item(score) for score in scores]


def _item(score: Any) -> Any:
    if not isinstance(score, dict):
        return {"id": str(uuid7()), "type": "score-create", "body": score}
    id_ = score.get("id") or str(uuid7())
    return {"id": id_, "type": "score-create", "timestamp": score.get("timestamp"), "body": score | {"id": id_}}


@router.post(
    "/api/public/scores",
    status_code=202,
    summary="Send scores of Langfuse's clients",
    response_class=Response,
    responses=ANSWERS,
    openapi_extra={"requestBody": REQUEST_BODY},
)
async def post_scores(request: Request, principal: Sender) -> Response:
    """Take one score in, or a list of them; answers once they are durable."""
    scores = _Scores()
    answers = await take_items(request, principal, scores.read)
    status, told = _list_told(answers) if scores.listed else _one_told(answers)
    return Response(orjson.dumps(told), status, media_type="application/json")


def _one_told(answers: Answers) -> tuple[int, dict[str, Any]]:
    for field, reason in answers.errors.values():
        raise Unprocessable(f"{field} {reason}".strip(), field=field)
    return 200, {"id": answers.ids[0]}


def _list_told(answers: Answers) -> tuple[int, dict[str, Any]]:
    if not answers.errors:
        return 202, {"message": "Accepted"}
    errors = [{"id": one, "message": f"{field} {reason}".strip()} for one, (field, reason) in answers.errors.items()]
    rejected = sum(one in answers.errors for one in answers.ids)
    return 207, {"accepted": len(answers.ids) - rejected, "rejected": rejected, "errors": errors}
