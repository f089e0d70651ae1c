"""``POST /v1/query`` and its catalogue."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from query_api.responses import PROBLEMS, AnswerModel, json
from query_api.services import Caller, Semantic
from semantic import catalogue
from semantic.question import Question

router = APIRouter(tags=["questions"])


class MeasureModel(BaseModel):
    """A measure of the catalogue."""

    name: str
    type: str
    unit: str
    description: str


class DimensionModel(BaseModel):
    """A dimension of the catalogue."""

    name: str
    type: str
    unit: str
    description: str
    groupable: bool
    event_types: list[str]


class CatalogueModel(BaseModel):
    """Everything that can be asked for."""

    measures: list[MeasureModel]
    dimensions: list[DimensionModel]


@router.post("/v1/query", summary="Ask a question", response_model=AnswerModel, responses=PROBLEMS)
async def ask(question: Question, caller: Caller, semantic: Semantic) -> Response:
    """Measures over events, by dimensions and time."""
    answer = await semantic.ask(caller.tenant, question)
    return json(answer.as_dict())


@router.get("/v1/query/catalog", summary="What can be asked", response_model=CatalogueModel, responses=PROBLEMS)
async def catalog(_: Caller) -> dict[str, Any]:
    """Every measure and dimension with its unit and description."""
    return catalogue.describe()
