"""``retrieval.query``: one query of a retrieval index."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import (
    Content,
    Count,
    Dimension,
    Label,
    Milliseconds,
    Number,
    Real,
    Reals,
    Small,
    Status,
    Strings,
)


class RetrievalQuery(EventData):
    """One query of a retrieval index."""

    TYPE: ClassVar[str] = "retrieval.query"
    SOURCE: ClassVar[str] = "retrieval"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "index": "handbook",
        "top_k": 5,
        "returned": 5,
        "scores": [0.91, 0.84, 0.8, 0.71, 0.69],
        "max_score": 0.91,
        "document_ids": ["d-17", "d-4", "d-9", "d-1", "d-33"],
        "duration_ms": 31.5,
    }

    index: Label | None = Field(None, description="The index asked.")
    query: Content | None = Field(None, description="The query.")
    top_k: Count | None = Field(None, description="How many documents were asked for.")
    returned: Small | None = Field(None, description="How many came back.")
    scores: Reals | None = Field(None, description="Their scores, best first.")
    max_score: Number | None = Field(None, description="The best score.")
    document_ids: Strings | None = Field(None, description="Their ids, best first.")
    relevant_ids: Strings | None = Field(None, description="Ids known to be relevant.")
    duration_ms: Milliseconds | None = Field(None, description="Duration.")
    embedding_ms: Real | None = Field(None, ge=0, description="Part of it spent on the query's embedding.")
    status: Status | None = Field(None, description="`ok` (default) or `error`.")
    error_type: Dimension | None = Field(None, description="What went wrong.")
