"""``evaluation.score``: one judgement of an answer."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from schemas.data import EventData
from schemas.fields import (
    Anything,
    Content,
    Detail,
    Dimension,
    Flag,
    Label,
    Milliseconds,
    Money,
    Number,
    Real,
    choice,
)


class EvaluationScore(EventData):
    """One judgement of an answer, by a rule, a model or a person."""

    TYPE: ClassVar[str] = "evaluation.score"
    SOURCE: ClassVar[str] = "evaluation"
    VERSION: ClassVar[str] = "1.1"
    EXAMPLE: ClassVar[dict[str, Any]] = {
        "evaluator": "faithfulness",
        "score": 0.86,
        "scale_min": 0,
        "scale_max": 1,
        "passed": True,
        "kind": "llm_judge",
        "judge_model": "gpt-4o-mini",
    }

    evaluator: Label = Field(description="Name of the evaluator.")
    score: Number | None = Field(None, description="The score; this or `label` is required.")
    label: Dimension | None = Field(None, description="The label; this or `score` is required.")
    scale_min: Real | None = Field(None, description="Lowest possible score.")
    scale_max: Real | None = Field(None, description="Highest possible score.")
    passed: Flag | None = Field(None, description="Whether it is good enough.")
    explanation: Content | None = Field(None, description="Why.")
    judge_model: Detail | None = Field(None, description="Model that judged.")
    kind: Annotated[Literal["rule", "llm_judge", "human", "reference"], choice()] | None = Field(
        None, description="Who judged."
    )
    expected: Anything | None = Field(None, description="Answer that was expected.")
    predicted: Anything | None = Field(None, description="Answer that was given.")
    cost_usd: Money | None = Field(None, description="Cost of the judgement.")
    duration_ms: Milliseconds | None = Field(None, description="Duration.")
    target_event_id: Detail | None = Field(None, description="Event that was judged.")
    dataset: Detail | None = Field(None, description="Set of cases that the answer belongs to (since 1.1).")
    run_id: Detail | None = Field(None, description="Run of the evaluation, to compare runs (since 1.1).")

    @model_validator(mode="after")
    def _score_or_label(self) -> Self:
        if self.score is None and self.label is None:
            raise ValueError("score or label is required")
        return self
