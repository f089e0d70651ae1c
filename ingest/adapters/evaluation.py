"""Evaluation: scores by rules, judges and people; ratings by users."""

from typing import Final

from ingest.adapters.form import SECONDS, Adapter, Choice, Form, words

_SCORE: Final = Form(
    "evaluation.score",
    "evaluation",
    {
        "evaluator": "data.evaluator",
        "method": (
            "data.kind",
            words(**{"rule": "rule", "llm-judge": "llm_judge", "human": "human", "reference": "reference"}),
        ),
        "score": "data.score",
        "label": "data.label",
        "scale.min": "data.scale_min",
        "scale.max": "data.scale_max",
        "passed": "data.passed",
        "explanation": "data.explanation",
        "judge_model": "data.judge_model",
        "expected": "data.expected",
        "predicted": "data.predicted",
        "cost_usd": "data.cost_usd",
        "latency_s": ("data.duration_ms", SECONDS),
        "log_id": "data.target_event_id",
    },
)
_FEEDBACK: Final = Form(
    "feedback.rating",
    "evaluation",
    {
        "rating": "data.rating",
        "thumb": "data.label",
        "scale.min": "data.scale_min",
        "scale.max": "data.scale_max",
        "comment": "data.comment",
        "log_id": "data.target_event_id",
    },
)

ADAPTER: Final = Adapter("evaluation", {"1": Choice("kind", {"score": _SCORE, "feedback": _FEEDBACK})})
