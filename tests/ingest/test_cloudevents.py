"""CloudEvents in all three modes, made by the CloudEvents project's own library."""

import base64
import json
import uuid
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import BadRequest
from core.ids import derived_id
from ingest.batch import Arrival
from ingest.decode.cloudevents import decode_batch, decode_binary, decode_structured
from ingest.limits import Limits
from tests.ingest.fakes import NOW, FakeLog, reverse

TIME = NOW - timedelta(minutes=1)
DATA = {"provider": "openai", "model": "gpt-4o", "input_tokens": 812, "duration_ms": 1840.2}
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BATCH = {"content-type": "application/cloudevents-batch+json"}
ARRIVAL = Arrival("acme", NOW, NOW - timedelta(days=90), NOW + timedelta(days=1))


def cloud_event(data: Any = DATA, **attributes: Any) -> CloudEvent:
    given = {
        "id": "order-17",
        "type": "com.example.llm.request",
        "source": "https://platform.example/modules/gateway",
        "specversion": "1.0",
        "time": TIME,
        "subject": "chat/ü 1",
        "datacontenttype": "application/json",
        "traceparent": TRACE,
        "sessionid": "s-1",
        "region": "eu-west-1",
        "tenant": "somebody-else",
        **attributes,
    }
    return CloudEvent({name: value for name, value in given.items() if value is not None}, data)


async def send(client: httpx.AsyncClient, mode: str, *events: CloudEvent, **headers: str) -> httpx.Response:
    if mode == "batch":
        body = b"[" + b",".join(to_structured(event, JSONFormat()).body for event in events) + b"]"
        return await client.post("/v1/events", content=body, headers=BATCH | headers)
    message = (to_binary if mode == "binary" else to_structured)(events[0], JSONFormat())
    return await client.post("/v1/events", content=message.body, headers={**message.headers, **headers})


@pytest.mark.parametrize("mode", ["binary", "structured", "batch"])
async def test_every_attribute_finds_its_place(client: httpx.AsyncClient, log: FakeLog, mode: str) -> None:
    answer = await send(client, mode, cloud_event())
    assert answer.json() == {"accepted": 1, "rejected": 0, "duplicates": 0, "errors": []}
    (event,) = log.events()
    assert (event["tenant"], event["type"], event["source"]) == ("acme", "llm.request", "gateway")
    assert event["id"] == derived_id("https://platform.example/modules/gateway", "order-17").bytes
    assert event["time"] == TIME
    assert (event["trace_id"].hex(), event["span_id"].hex()) == (TRACE[3:35], TRACE[36:52])
    assert (event["model"], event["input_tokens"], event["session_id"]) == ("gpt-4o", 812, "s-1")
    assert dict(event["attributes"]) == {"region": "eu-west-1", "subject": "chat/ü 1"}


@pytest.mark.parametrize("mode", ["binary", "structured", "batch"])
async def test_without_a_time_it_is_the_time_of_receipt(client: httpx.AsyncClient, log: FakeLog, mode: str) -> None:
    event = json.loads(to_structured(cloud_event(), JSONFormat()).body)
    del event["time"]
    if mode == "binary":
        data = event.pop("data")
        headers = {"ce-" + name: value for name, value in event.items() if value.isascii()}
        await client.post("/v1/events", json=data, headers=headers)
    elif mode == "structured":
        await client.post("/v1/events", content=json.dumps(event), headers={"content-type": STRUCTURED})
    else:
        await client.post("/v1/events", content=json.dumps([event]), headers=BATCH)
    assert log.events()[0]["time"] == NOW


STRUCTURED = "application/cloudevents+json"


async def test_an_id_that_is_a_uuid_stays(client: httpx.AsyncClient, log: FakeLog) -> None:
    id_ = "0192f0c1-0000-7000-8000-000000000001"
    await send(client, "structured", cloud_event(id=id_))
    assert log.events()[0]["id"] == uuid.UUID(id_).bytes


async def test_the_same_id_of_another_source_is_another_event(client: httpx.AsyncClient, log: FakeLog) -> None:
    await send(client, "batch", cloud_event(), cloud_event(source="urn:platform:router"), cloud_event())
    first, other, again = log.events()
    assert first["id"] == again["id"] != other["id"]
    assert other["source"] == "router"


async def test_base64(client: httpx.AsyncClient, log: FakeLog) -> None:
    answer = await send(client, "structured", cloud_event(json.dumps(DATA).encode(), datacontenttype=None))
    assert answer.json()["accepted"] == 1
    assert log.events()[0]["model"] == "gpt-4o"


async def test_the_same_data_under_other_headers_is_no_retry(client: httpx.AsyncClient, log: FakeLog) -> None:
    for id_ in ("a", "b", "a"):
        answer = await send(client, "binary", cloud_event(id=id_))
    assert answer.json()["duplicates"] == 1
    assert len(log.events()) == 2


async def test_data_that_is_no_object(client: httpx.AsyncClient, log: FakeLog) -> None:
    event = cloud_event(type="metric.sample", data=b'{"name": "queue", "value": 3}')
    assert (await send(client, "binary", event)).json()["accepted"] == 1
    event = json.loads(to_structured(cloud_event(type="metric.sample"), JSONFormat()).body) | {"data": 17}
    answer = await client.post("/v1/events", content=json.dumps(event), headers={"content-type": STRUCTURED})
    assert answer.json()["errors"][0]["field"] == "data.name"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"source": None}, "source"),
        ({"source": 7}, "source"),
        ({"type": None}, "type"),
        ({"type": "com.example.llm.reqest"}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"traceparent": "00-zz-1"}, "traceparent"),
        ({"traceid": "12"}, "traceid"),
        ({"data": {"model": "m", "input_tokens": -1}}, "data.input_tokens"),
        ({"data": None, "data_base64": "!"}, "data_base64"),
        ({"data": None, "data_base64": "bm8ganNvbg=="}, "data_base64"),
        ({"data": None}, "data.model"),
        ({"region": "x" * 5000}, "extensions"),
    ],
)
async def test_a_wrong_event_is_named_and_the_others_are_kept(
    client: httpx.AsyncClient, log: FakeLog, changes: dict[str, Any], field: str
) -> None:
    good = json.loads(to_structured(cloud_event(), JSONFormat()).body)
    bad = {name: value for name, value in {**good, **changes}.items() if value is not None}
    answer = await client.post("/v1/events", content=json.dumps([good, bad]), headers=BATCH)
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (1, 1)
    assert (told["errors"][0]["index"], told["errors"][0]["field"]) == (1, field)
    assert told["errors"][0]["reason"]
    assert len(log.dead_letters()) == 1


async def test_dead_letters_hide_nothing_in_base64(client: httpx.AsyncClient, log: FakeLog) -> None:
    secret = base64.b64encode(b"no json, but ada@example.org").decode()
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "span", "data_base64": secret}
    await client.post("/v1/events", content=json.dumps(event), headers={"content-type": STRUCTURED})
    (letter,) = log.dead_letters()
    kept = orjson.loads(reverse(letter))["rows"][0]["original"]
    assert "[redacted:email]" in kept
    assert secret not in kept


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"content-type": STRUCTURED}, 400),
        (b"[]", {"content-type": STRUCTURED}, 400),
        (b"[]", BATCH, 400),
        (b"{}", BATCH, 400),
        (b"{}", {"content-type": "application/cloudevents+avro"}, 415),
        (b"<a/>", {"content-type": "text/xml", "ce-specversion": "1.0"}, 415),
        (b"{", {"content-type": "application/json", "ce-specversion": "1.0"}, 400),
    ],
)
async def test_what_is_refused(
    client: httpx.AsyncClient, log: FakeLog, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await client.post("/v1/events", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert log.records == []


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        "specversion",
        "id",
        "source",
        "type",
        "time",
        "data",
        "data_base64",
        "traceparent",
        "traceid",
        "subject",
        "tenant",
    ]
)
ODD = st.dictionaries(NAMES | st.text(max_size=6), VALUES, max_size=4)
GOOD = {"specversion": "1.0", "id": "1", "source": "/a/gateway", "type": "llm.request", "data": DATA}


@settings(max_examples=200, deadline=None)
@given(odd=st.lists(ODD | VALUES, min_size=1, max_size=3), headers=st.dictionaries(NAMES, st.text(max_size=20)))
def test_any_event_is_taken_or_refused(odd: list[Any], headers: dict[str, str]) -> None:
    events = [{**GOOD, **one} if isinstance(one, dict) else one for one in odd]
    decoded = decode_batch(json.dumps(events).encode(), ARRIVAL, Limits())
    assert decoded.rows == len(events)
    for decode, body, more in ((decode_structured, events[0], {}), (decode_binary, DATA, {"attributes": headers})):
        try:
            assert decode(json.dumps(body).encode(), ARRIVAL, Limits(), **more).rows == 1
        except BadRequest:
            assert not isinstance(body, dict)
