"""Every error is RFC 9457 ``application/problem+json``, and nothing of the inside is in it."""

import logging
from collections.abc import Iterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from core import errors
from core.errors import HubError
from hub.web import build_web
from tests.hub.running import client_of

SECRET = "lh_geheim"


class Body(BaseModel):
    measures: list[Annotated[str, Field(max_length=5)]]


def _all(kind: type[HubError]) -> Iterator[type[HubError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _all(one)


ERRORS = {one.__name__: one for one in _all(HubError)}


def router() -> APIRouter:
    router = APIRouter()

    @router.get("/raise/{name}")
    async def raises(name: str) -> None:
        raise ERRORS[name]("what is wrong", field="measures.0", nearest="cost_usd")

    @router.get("/break")
    async def breaks() -> None:
        raise ZeroDivisionError(SECRET)

    @router.get("/gone")
    async def gone() -> None:
        raise ClientDisconnect

    @router.get("/quote")
    async def quotes() -> None:
        raise errors.Unprocessable("no measure '\ud800'", nearest={"a set"})

    @router.post("/body")
    async def takes(body: Body, limit: Annotated[int, Query(ge=1)] = 1) -> None: ...

    return router


@pytest.fixture
def client() -> httpx.AsyncClient:
    return client_of(build_web("1.2.3", [router()], {"clock": "a clock"}), None)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = dict(answer.json())
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize("name", ERRORS)
async def test_every_error_becomes_its_problem(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/raise/{name}")
    body = problem(answer, ERRORS[name].status)
    assert (body["title"], body["detail"]) == (ERRORS[name].title, "what is wrong")
    assert (body["field"], body["nearest"]) == ("measures.0", "cost_usd")
    if name in ("TooManyRequests", "SlowDown", "_RetryAfter"):
        assert answer.headers["retry-after"] == "1"
    if name == "Unauthenticated":
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_what_nobody_expected_tells_nothing_but_where_to_look(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = await client.get("/break")
    body = problem(answer, 500)
    assert SECRET not in answer.text
    assert "Zero" not in answer.text
    reference = body["detail"].rsplit(" ", 1)[1]
    record = next(record for record in caplog.records if reference in record.getMessage())
    assert record.getMessage() == f"unexpected error {reference} at GET /break"
    assert record.exc_info is not None


async def test_a_sender_that_goes_away_is_no_mistake_of_the_hub(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await client.get("/gone")).status_code == 400
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


async def test_anything_can_be_quoted(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/quote"), 422)["nearest"] == "{'a set'}"


@pytest.mark.parametrize(
    ("path", "content", "field"),
    [
        ("/body", b'{"measures": ["far too long"]}', "measures.0"),
        ("/body?limit=0", b'{"measures": []}', "limit"),
        ("/body", b"{}", "measures"),
        ("/body", b"{", "body"),
        ("/body", b"", "body"),
        ("/body", b'"text"', "body"),
    ],
)
async def test_a_wrong_field_is_named(client: httpx.AsyncClient, path: str, content: bytes, field: str) -> None:
    answer = await client.post(path, content=content, headers={"Content-Type": "application/json"})
    body = problem(answer, 422)
    assert body["field"] == field
    assert body["detail"].startswith(f"{field}: ")
    assert body["errors"][0]["field"] == field


async def test_no_such_path_and_no_such_method(client: httpx.AsyncClient) -> None:
    problem(await client.get("/nowhere"), 404)
    answer = await client.get("/body")
    problem(answer, 405)
    assert answer.headers["allow"] == "POST"


async def test_the_services_are_on_the_application_and_the_version_is_in_its_document() -> None:
    app = build_web("1.2.3", [router()], {"clock": "a clock"})
    assert app.state.clock == "a clock"
    document = (await client_of(app, None).get("/openapi.json")).json()
    assert document["info"]["version"] == "1.2.3"
    assert document["info"]["license"]["identifier"] == "Apache-2.0"


async def test_docs_tell_every_operation_and_load_nothing() -> None:
    async with client_of(build_web("1", [router()], {}), None) as client:
        answer, other = await client.get("/docs"), await client.get("/redoc")
    assert answer.status_code == 200
    assert "/raise/{name}" in answer.text
    assert "<script" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert other.status_code == 404
