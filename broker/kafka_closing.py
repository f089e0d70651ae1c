"""Closing aiokafka's consumers, whatever the state of the brokers."""

import asyncio
import logging
from typing import Any

logger = logging.getLogger(__name__)


async def close_consumer(consumer: Any) -> None:
    """Stop a consumer of aiokafka; what goes wrong is logged, for it is thrown away anyhow.

    While brokers are away its own ``stop`` ends half way, with the ``CancelledError`` of a fetch that it has cancelled
    itself. To a caller that would look like its own cancellation.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait((stopping,))
    if stopping.cancelled():
        await consumer._client.close()  # noqa: SLF001 - what it has left open; there is no other way to it
    elif (error := stopping.exception()) is not None:
        logger.warning("a consumer of Kafka was not closed in order: %r", error)
