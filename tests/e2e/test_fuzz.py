"""Whatever is sent, no answer is a mistake of the hub: no 500, and no other 5xx than 503."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hub.compose import Hub
from tests.hub.running import PATIENCE, an_event, client_of, settings_of

# Tracing the generators of requests would take many times as long as the requests.
pytestmark = [pytest.mark.slow, pytest.mark.no_cover]

#: Streams for ever.
ENDLESS = "/v1/live"

LIMITS = settings(
    max_examples=10,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Background:
    """A hub in the loop of a thread: hypothesis knows no coroutines."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._hub = Hub(settings_of(folder))
        self.app = self._run(self._hub.start())
        self.client = client_of(self.app, (folder / "admin.key").read_text().strip())
        self._run(self.client.post("/v1/events", json=[an_event()]))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request with the first key."""
        return self._run(self.client.request(method, path, **options))

    def close(self) -> None:
        """Stop the hub, then the loop."""
        self._run(self.client.aclose())
        self._run(self._hub.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _run(self, coroutine: Any) -> Any:
        done: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return done.result(PATIENCE)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    background = Background(tmp_path_factory.mktemp("fuzz"))
    yield background
    background.close()


def test_no_operation_of_the_document_answers_with_a_mistake(hub: Background) -> None:
    document = hub.request("GET", "/openapi.json").json()
    schema = schemathesis.openapi.from_dict(document)
    tried, broken = set(), []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path == ENDLESS:
            continue
        tried.add(operation.label)

        @LIMITS
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            answer = send(hub, case)
            if answer.status_code >= 500 and answer.status_code != 503:
                broken.append((case.as_curl_command(), answer.text[:300]))

        holds()
    assert broken == []
    assert len(tried) > 40


def send(hub: Background, case: schemathesis.Case) -> httpx.Response:
    """A generated case, with the first key."""
    parts = case.as_transport_kwargs(base_url="http://hub")
    headers = {name: value for name, value in (parts.pop("headers", None) or {}).items() if name != "Authorization"}
    parts = {name: value for name, value in parts.items() if name in ("method", "url", "params", "json", "data")}
    data = parts.pop("data", None)
    content = {"content": data} if isinstance(data, bytes | str) else {"data": data}
    return hub.request(parts.pop("method"), parts.pop("url"), headers=headers, **content, **parts)


def dumped(value: Any) -> bytes:
    """JSON of anything."""
    return json.dumps(value).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["id", "type", "source", "time", "data", "trace_id", "span_id", "attributes", "user_id", "project"]
)
EVENTS = st.builds(lambda event, odd: {**event, **odd}, st.builds(an_event), st.dictionaries(NAMES, JSON, max_size=3))
BODIES = st.one_of(
    st.binary(max_size=200),
    JSON.map(dumped),
    EVENTS.map(dumped),
    st.lists(EVENTS, max_size=4).map(dumped),
    st.lists(EVENTS | JSON, max_size=4).map(lambda rows: b"\n".join(map(dumped, rows))),
)
HEADERS = st.fixed_dictionaries(
    {
        "Content-Type": st.sampled_from(
            [
                "application/json",
                "application/x-ndjson",
                "application/vnd.apache.arrow.stream",
                "application/cloudevents+json",
                "application/cloudevents-batch+json",
                "application/json; charset=utf-16",
                "text/plain",
                "",
                "application/json;;;=",
            ]
        )
    },
    optional={
        "Content-Encoding": st.sampled_from(["gzip", "zstd", "br", "identity", "gzip, gzip", ""]),
        "ce-specversion": st.sampled_from(["1.0", "0.3", ""]),
        "ce-type": st.sampled_from(["llm.request", "com.example.span", "x"]),
        "ce-id": st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
        "ce-source": st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
        "Idempotency-Key": st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=300),
    },
)


@settings(LIMITS, max_examples=150)
@given(body=BODIES, headers=HEADERS)
def test_any_body_at_the_events_door_is_taken_or_refused(hub: Background, body: bytes, headers: dict[str, str]) -> None:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    answer = hub.request("POST", "/v1/events", content=body, headers=encoded)
    assert answer.status_code in (202, 400, 409, 413, 415, 422, 503), answer.text
    if answer.status_code == 202:
        told = answer.json()
        assert told.keys() == {"accepted", "rejected", "duplicates", "errors"}
    else:
        assert answer.headers["content-type"] == "application/problem+json"


@settings(LIMITS, max_examples=60)
@given(value=JSON)
def test_any_question_is_answered_or_refused(hub: Background, value: Any) -> None:
    answer = hub.request("POST", "/v1/query", content=dumped(value), headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 422), answer.text


@pytest.mark.parametrize(
    "body", [b'{"measures": ["\\ud800"]}', b'{"measures": ["events"], "limit": 1e999}', b"\xff", b"1" * 5000]
)
def test_half_characters_and_huge_numbers_are_no_mistake_of_the_hub(hub: Background, body: bytes) -> None:
    answer = hub.request("POST", "/v1/query", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
