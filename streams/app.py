"""The Faust app: one agent on ``hub.events`` and what is mirrored to it, unchanged on both logs.

Faust shares out topics of equal size together: who has partition 3 of one has it of all. That makes it quick; what
makes it right is told in :mod:`streams.handler`.
"""

from typing import Any, Final

import faust

from broker.blocks import BlockLimits
from broker.factory import faust_broker_url, faust_credentials
from broker.faust_blocks import Blocks, blocks_topic
from broker.topics import EVENTS
from core.clock import Clock
from core.metrics import Metrics
from streams.config import StreamsConfig
from streams.handler import BlockHandler, rows_of

#: A block that has so many rows when it has lingered waits for more: an insert costs as much as some thousand rows do.
_BUSY_ROWS: Final = 2_500


def build_app(config: StreamsConfig, handler: BlockHandler, clock: Clock, metrics: Metrics) -> faust.App:
    """An app that hands every block of events to the handler and commits behind it. Starts nothing."""
    app = faust.App(
        config.group,
        broker=faust_broker_url(config.broker_url),
        broker_credentials=faust_credentials(config.broker_url),
        store="memory://",
        datadir=str(config.data_dir / "faust"),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
        broker_session_timeout=config.session_timeout_s,
        broker_heartbeat_interval=config.session_timeout_s / 5,
    )
    limits = _limits(config)
    blocks = Blocks(app, limits, clock, rows=rows_of)
    metrics.streams_buffer_bytes.set_function(lambda: blocks.buffered_bytes)
    metrics.streams_buffer_limit_bytes.set(limits.buffer_bytes)

    @app.agent(blocks_topic(app, EVENTS, config.partitions, *config.topics[1:]), name="events", concurrency=1)
    async def events(stream: Any) -> None:
        await blocks.process(stream, handler.handle)

    async def revoked(_sender: Any, /, *partitions: Any, **_: Any) -> None:
        handler.forget((tp.topic, tp.partition) for tp in set().union(*partitions))
        metrics.streams_rebalances.inc()

    async def assigned(_sender: Any, /, *partitions: Any, **_: Any) -> None:
        mine = sorted(tp for tp in set().union(*partitions) if tp.topic in config.topics)
        metrics.streams_partitions.set(sum(tp.topic == EVENTS for tp in mine))
        metrics.streams_rebalances.inc()
        await handler.take_up((tp.topic, tp.partition) for tp in mine)

    # Strong references: signals keep weak ones only, and these functions would be gone at once.
    app.on_partitions_revoked.connect(revoked, weak=False)
    app.on_partitions_assigned.connect(assigned, weak=False)
    return app


def _limits(config: StreamsConfig) -> BlockLimits:
    rows = config.block_rows * config.backlog_blocks
    return BlockLimits(
        linger_s=config.linger_s,
        busy_rows=min(_BUSY_ROWS, config.block_rows // 8),
        busy_linger_s=1.0,
        enough_rows=config.block_rows,
        max_records=100_000,
        max_rows=rows,
        max_bytes=64 << 20,
        buffer_bytes=96 << 20,
        retry_s=config.retry_s,
        retry_max_s=config.retry_max_s,
    )
