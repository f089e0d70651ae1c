"""``llm.embedding``: one call of an embedding model."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.data import EventData
from schemas.fields import Count, Dimension, Milliseconds, Status, Tokens


class LlmEmbedding(EventData):
    """One call of an embedding model."""

    TYPE: ClassVar[str] = "llm.embedding"
    SOURCE: ClassVar[str] = "gateway"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "provider": "openai",
        "model": "text-embedding-3-small",
        "input_tokens": 420,
        "dimensions": 1536,
        "duration_ms": 42.0,
    }

    model: Dimension = Field(min_length=1, description="Embedding model.")
    provider: Dimension | None = Field(None, description="Who serves it.")
    input_tokens: Tokens | None = Field(None, description="Tokens embedded.")
    dimensions: Count | None = Field(None, description="Length of a vector.")
    duration_ms: Milliseconds | None = Field(None, description="Duration.")
    status: Status | None = Field(None, description="`ok` (default) or `error`.")
    error_type: Dimension | None = Field(None, description="What went wrong.")
