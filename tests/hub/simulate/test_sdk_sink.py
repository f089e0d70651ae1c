"""The SDK as a door of the simulator, where it does not go well."""

import sys

import pytest

from core.errors import BadRequest, Retryable, SettingsError
from hub.simulate import sdk_sink
from hub.simulate.sdk_sink import SdkSink
from tests.sdk.conftest import stub
from tests.sdk.stub import Reply, StubHub

__all__ = ["stub"]
EVENT = {"id": "0192f0c1-0000-7000-8000-000000000001", "type": "job.run", "source": "a", "time": "2026-11-02T00:00:00Z"}
EVENT |= {"data": {"job": "j", "state": "failed"}, "project": "bot"}


async def test_events_go_out_as_they_are(stub: StubHub) -> None:
    sink = SdkSink(stub.url, "lh_x")
    async with sink:
        await sink.take([EVENT, {**EVENT, "id": "2", "source": "b"}])
    first, second = (event for request in stub.requests for event in request.events)
    assert first == EVENT
    assert second["source"] == "b"
    assert (sink.totals.accepted, sink.totals.rejected, sink.totals.batches) == (2, 0, 2)


async def test_a_refusal_ends_it(stub: StubHub) -> None:
    stub.replies.append(Reply(401))
    with pytest.raises(BadRequest, match="refused 1 event"):
        async with (sink := SdkSink(stub.url, "lh_x")):
            await sink.take([EVENT])


async def test_a_hub_that_takes_nothing_is_told(stub: StubHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_sink, "_PATIENCE_S", 0.2)
    stub.script = lambda _: Reply(503)
    with pytest.raises(Retryable, match="took no events"):
        async with (sink := SdkSink(stub.url, "lh_x")):
            await sink.take([EVENT])


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llm_hub", None)
    with pytest.raises(SettingsError, match="pip install llm-analytics-hub-sdk"):
        SdkSink("http://hub.test", "lh_x")
