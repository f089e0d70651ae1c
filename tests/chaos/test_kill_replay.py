"""kill -9 in the middle of a replay: nothing is lost, and nothing counts twice, in raw rows and in rollups."""

import asyncio
import random
from pathlib import Path

import pytest

from benchmarks.common import Hub
from hub.replay import replay
from hub.sender import HubSender
from tests.e2e.public_traces import agree, record, settled

pytestmark = [pytest.mark.data, pytest.mark.slow, pytest.mark.chaos]

KILLS = 4


def raw_and_rollup(hub: Hub) -> tuple[int, int]:
    """The number of requests as the raw rows have it, and as the rollups have it."""
    span = {"from": "now-60d", "to": "now+1d"}
    rollup = hub.ask({"measures": ["requests"], "time": span})
    by_row = hub.ask({"measures": ["requests"], "dimensions": ["session_id"], "time": span, "limit": 10000})
    return sum(row[1] for row in by_row["rows"]), rollup["rows"][0][0]


async def send_while_killing(hub: Hub, collections: list[list[Path]], seed: int) -> None:
    """Replay everything while the hub is killed and started again on the same port."""
    rng = random.Random(seed)
    port = hub.url.rsplit(":", 1)[1]
    async with HubSender(hub.url, hub.key, connections=2) as sender:

        async def send() -> None:
            for files in collections:
                await replay(files, sender=sender, shift_to_now=True, batch_size=200)

        sending = asyncio.create_task(send())
        for _ in range(KILLS):
            await asyncio.sleep(rng.uniform(0.2, 0.8))
            hub.kill()
            await asyncio.to_thread(hub.start, port=port)
        await sending


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_during_replay(bench_data: Path, tmp_path: Path, seed: int) -> None:
    collections, expected = record(bench_data, tmp_path)
    folder = tmp_path / "data"
    folder.mkdir()
    hub = Hub(folder)
    hub.start()
    try:
        asyncio.run(send_while_killing(hub, collections, seed))
        agree(settled(hub, expected), expected)
        wanted = sum(one.requests for one in expected.values())
        assert raw_and_rollup(hub) == (wanted, wanted)
    finally:
        hub.kill()
