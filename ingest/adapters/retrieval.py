"""Retrieval: queries of an index, and the pipelines that fill it."""

from typing import Final

from ingest.adapters.form import SECONDS, Adapter, Choice, Form, words

_QUERY: Final = Form(
    "retrieval.query",
    "retrieval",
    {
        "collection": "data.index",
        "query": "data.query",
        "k": "data.top_k",
        "hits.count": "data.returned",
        "hits.scores": "data.scores",
        "hits.best": "data.max_score",
        "hits.ids": "data.document_ids",
        "relevant_ids": "data.relevant_ids",
        "took_s": ("data.duration_ms", SECONDS),
        "embed_s": ("data.embedding_ms", SECONDS),
        "result": ("data.status", words(ok="ok", error="error")),
        "error": "data.error_type",
    },
)
_INGEST: Final = Form(
    "job.run",
    "retrieval",
    {
        "job": "data.job",
        "pipeline": "data.pipeline",
        "result": (
            "data.state",
            words(STARTED="started", SUCCESS="succeeded", FAILURE="failed", SKIPPED="skipped"),
        ),
        "chunks": "data.rows",
        "attempt": "data.attempt",
        "took_s": ("data.duration_ms", SECONDS),
        "error": "data.error_type",
    },
)

ADAPTER: Final = Adapter("retrieval", {"1": Choice("kind", {"query": _QUERY, "ingest": _INGEST})})
