"""A Faust worker that handles blocks until it is killed, for the transport's contract.

Arguments: broker URL, app id, topic, partitions. Prints ``ready``, and ``partition first last`` of each handled block.
"""

import asyncio
import sys
import tempfile
from typing import Any

import faust

from broker.factory import faust_broker_url
from broker.faust_blocks import BlockLimits, Blocks, RecordBlock, blocks_topic
from core.clock import SystemClock


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(url: str, app_id: str, topic: str, partitions: int) -> None:
    """Run the worker inside this program's own loop."""
    app = faust.App(
        app_id,
        broker=faust_broker_url(url),
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="faust-"),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
    )
    blocks = Blocks(app, BlockLimits(linger_s=0.01, max_records=7), SystemClock())

    @app.agent(blocks_topic(app, topic, partitions), concurrency=1)
    async def agent(stream: Any) -> None:
        await blocks.process(stream, handle)

    async def handle(block: RecordBlock) -> None:
        say(f"{block.partition} {block.first_offset} {block.last_offset}")
        await asyncio.sleep(0.005)

    app.finalize()
    await app.maybe_start()
    say("ready")
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
