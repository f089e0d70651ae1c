"""What a caller may hand over: anything, and it may do with it what it likes afterwards."""

import dataclasses
import json
import threading
import uuid
from collections import OrderedDict, deque
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import numpy as np
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_hub import Client, Options, context, get_client, observe, set_client
from llm_hub.jsonable import described, plain, simplify
from llm_hub.snapshot import MOST, snapshot
from llm_hub.testing import MemoryClient


@pytest.fixture
def client() -> Any:
    client = MemoryClient(source="test", options=Options(event_bytes=20_000))
    yield client
    client.close()


def data_of(client: MemoryClient, value: Any) -> Any:
    client.clear()
    client.capture("product.event", {"name": "x", "value": value})
    (event,) = client.events
    return event["data"]["value"]


class Colour(Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    inner: Any = None


class Model(pydantic.BaseModel):
    name: str
    at: datetime


class Hostile:
    """Everything it is asked ends badly."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise SystemExit

    def __bool__(self) -> bool:
        raise KeyboardInterrupt

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class Liar:
    """Says it is a text."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return str


class Breaking(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise RuntimeError("no")

    def keys(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (datetime(2026, 11, 20, tzinfo=UTC), "2026-11-20T00:00:00+00:00"),
        (date(2026, 11, 20), "2026-11-20"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.5"), 1.5),
        (Colour.RED, "red"),
        (Point(1, Point(2)), {"x": 1, "inner": {"x": 2, "inner": None}}),
        (Model(name="a", at=datetime(2026, 1, 1, tzinfo=UTC)), {"name": "a", "at": "2026-01-01T00:00:00+00:00"}),
        (Model, "Model"),
        ({"b"}, ["b"]),
        ((1, 2), [1, 2]),
        (deque([1]), [1]),
        (OrderedDict(a=1), {"a": 1}),
        (b"abc", "abc"),
        (b"\xff", "\\xff"),
        (ValueError("wrong"), "ValueError: wrong"),
        (np.float32(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        (float("nan"), None),
        ([float("inf"), 1.0], [None, 1.0]),
        ("half \ud800", "half ?"),
        ({1: "a", None: "b", ("x", 1): "c"}, {"1": "a", "None": "b", "('x', 1)": "c"}),
        (10**5000, "<unprintable int>"),
        (Hostile(), "<unprintable Hostile>"),
        (object, "object"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_does_not_know(client: MemoryClient, value: Any, expected: Any) -> None:
    assert data_of(client, value) == expected


@pytest.mark.parametrize(
    "value", [Liar(), Breaking(a=1), lambda: 1, threading.Lock(), (n for n in "a"), Ellipsis], ids=type
)
def test_odd_objects_become_text(client: MemoryClient, value: Any) -> None:
    assert isinstance(data_of(client, value), str | dict)


def test_cycles_and_depths(client: MemoryClient) -> None:
    cyclic: dict[str, Any] = {"name": "loop"}
    cyclic["self"] = [cyclic]
    assert data_of(client, cyclic) == {"name": "loop", "self": ["<cycle>"]}
    deep: list[Any] = []
    for _ in range(5_000):
        deep = [deep]
    assert isinstance(data_of(client, deep), list)  # cut or not, as the interpreter's own encoder can
    assert "<too deep>" in json.dumps(plain(deep))


def test_hostile_envelopes(client: MemoryClient) -> None:
    odd: Any = Hostile()
    client.capture("product.event", odd)
    client.capture(odd, {"name": "x"})
    client.capture("product.event", {"name": "x"}, user_id=odd, trace_id=odd, time=odd, attributes=odd)
    client.capture("product.event", {"name": "x"}, project=odd)
    client.capture("product.event", {"name": "x"}, attributes={"a": odd}, event_id=odd)
    assert len(client.events) + client.stats()["dropped"].get("unserialisable", 0) == 5
    assert len(client.events) >= 3


@pytest.mark.parametrize("value", [None, 17, "text", [1]])
def test_data_that_is_no_object(client: MemoryClient, value: Any) -> None:
    client.capture("product.event", value)
    (event,) = client.events
    assert event["data"] == ({} if value is None else {"value": value})


def test_what_the_host_changes_afterwards_changes_nothing(client: MemoryClient) -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
    data = {"name": "x", "input_messages": messages, "pair": ({"n": [1]}, 2)}
    attributes = {"region": "eu"}
    client.capture("product.event", data, attributes=attributes)
    messages[0]["content"][0]["text"] = "changed"  # type: ignore[index]
    messages.append({"role": "assistant", "content": []})
    data["pair"][0]["n"].append(2)  # type: ignore[index]
    data["name"] = "changed"
    attributes.clear()
    (event,) = client.events
    assert event["data"] == {
        "name": "x",
        "input_messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}],
        "pair": [{"n": [1]}, 2],
    }
    assert event["attributes"] == {"region": "eu"}


def test_a_snapshot_keeps_cycles_and_is_bounded() -> None:
    loop: list[Any] = [1]
    loop.append({"loop": loop})
    copy = snapshot(loop)
    assert copy is not loop
    assert copy[1]["loop"] is copy
    inner: dict[str, Any] = {}
    inner["me"] = inner
    assert snapshot(inner)["me"]["me"] is not inner
    many = [{"n": number} for number in range(3 * MOST)]
    copies = snapshot(many)
    assert sum(one is other for one, other in zip(many, copies, strict=True)) >= 2 * MOST
    assert snapshot("text") == "text"


def test_large_events_keep_their_figures(client: MemoryClient) -> None:
    client.capture("llm.request", {"model": "m", "input_tokens": 7, "input_messages": ["x" * 50_000] * 500})
    (event,) = client.events
    assert event["data"]["input_tokens"] == 7
    assert event["data"]["truncated"] is True
    assert event["data"]["input_messages"] == [f"{'x' * 128}… [cut]"] * 16
    assert client.stats()["cut"] == 1


def test_what_stays_too_large_is_dropped() -> None:
    client = MemoryClient(options=Options(event_bytes=200))
    client.capture("product.event", {"name": "x" * 1_000})
    assert client.events == []
    assert client.stats()["dropped"] == {"too_large": 1}


def test_times(client: MemoryClient) -> None:
    moment = datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)
    client.capture("product.event", {"name": "a"}, time=moment)
    client.capture("product.event", {"name": "a"}, time=1_763_640_000_123)
    client.capture("product.event", {"name": "a"}, time="2026-11-20T12:00:00Z")
    client.capture("product.event", {"name": "a"}, time=moment.astimezone().replace(tzinfo=None))
    first, second, third, fourth = (event["time"] for event in client.events)
    assert fourth == first
    assert first == "2026-11-20T12:00:00.123456Z"
    assert (second, third) == (1_763_640_000_123, "2026-11-20T12:00:00Z")


def test_ids_are_time_ordered_uuids_and_can_be_given(client: MemoryClient) -> None:
    ids = [client.capture("product.event", {"name": "a"}) for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    assert {uuid.UUID(item).version for item in ids} == {7}
    assert {uuid.UUID(item).variant for item in ids} == {uuid.RFC_4122}
    assert [item[:8] for item in ids] == sorted(item[:8] for item in ids)
    assert client.capture("product.event", {"name": "a"}, event_id="mine") == "mine"
    assert client.events[-1]["id"] == "mine"


def test_without_url_or_key_a_client_is_disabled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("LLM_HUB_URL", raising=False)
    monkeypatch.delenv("LLM_HUB_KEY", raising=False)
    with Client() as client:
        assert not client.enabled
        assert client.capture("product.event", {"name": "x"})
        assert client.flush()
        assert client.stats()["dropped"] == {"disabled": 1}
    assert caplog.text.count("LLM_HUB_URL") == 1


def test_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("url", "key", "source", "project", "environment"):
        monkeypatch.setenv(f"LLM_HUB_{name.upper()}", "http://127.0.0.1:1/" if name == "url" else f"my-{name}")
    monkeypatch.setenv("LLM_HUB_CAPTURE_CONTENT", "1")
    with Client() as client:
        assert (client.url, client.source, client.project) == ("http://127.0.0.1:1", "my-source", "my-project")
        assert (client.environment, client.capture_content, client.enabled) == ("my-environment", True, True)


@pytest.mark.parametrize("url", ["hub.example.com", "ftp://hub", "https://", "https://user:secret@hub"])
def test_a_wrong_url_is_told_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="must be like https"):
        Client(url=url, key="lh_x")


def test_a_wrong_url_of_the_environment_breaks_no_host(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LLM_HUB_URL", "nonsense")
    monkeypatch.setenv("LLM_HUB_KEY", "lh_x")
    before = set_client(None)

    @observe
    def work() -> int:
        return 7

    assert work() == 7
    assert "must be like https" in caplog.text
    get_client().close()
    set_client(before)


def test_spans_and_contexts_take_nonsense(client: MemoryClient) -> None:
    odd: Any = 5
    with context(data=odd, attributes=odd), client.span(odd, kind=odd, data=odd, attributes=odd) as span:
        span.set(x=Hostile()).event("e", y=Hostile())
    with client.span("x", event_type=odd):
        pass
    assert len(client.events) == 2
    assert client.events[0]["data"]["value"] == 5


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def cycle_of(values: list[Any]) -> list[Any]:
    values.append(values)
    return values


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=20)
    | st.datetimes()
    | st.uuids()
    | st.decimals()
    | st.builds(Broken)
    | st.builds(Hostile)
    | st.builds(Liar)
    | st.sampled_from([object(), Colour.RED, Point(1), len, int])
)
KEYS = st.text(max_size=8) | st.integers() | st.none() | st.tuples(st.integers())
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.tuples(inner, inner)
        | st.lists(inner, max_size=3).map(cycle_of)
        | st.builds(Breaking)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    data=VALUES,
    envelope=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            [
                "time",
                "event_id",
                "trace_id",
                "span_id",
                "session_id",
                "user_id",
                "project",
                "environment",
                "attributes",
            ],
            VALUES,
        ),
    ),
    kind=VALUES,
)
def test_capture_never_raises_and_what_comes_out_is_json(data: Any, envelope: dict[str, Any], kind: Any) -> None:
    with MemoryClient(source="test") as client, context(user_id="u"):
        client.capture(kind, data, **envelope)
        told = client.events
        assert len(told) + sum(client.stats()["dropped"].values()) == 1
        for event in told:
            json.dumps(event, allow_nan=False).encode()
            assert isinstance(event["data"], dict)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_plain_values_stay_plain(value: Any) -> None:
    once = plain(value)
    assert plain(once) == once
    json.dumps(once, allow_nan=False).encode()
    json.dumps(simplify(described(value)))


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    )
)
def test_what_is_json_arrives_as_it_is(value: Any) -> None:
    with MemoryClient(source="test") as client:
        client.capture("product.event", {"value": value})
        assert client.events[0]["data"]["value"] == value
