"""Straight to Kafka: each event is a record of a topic that a hub's bridge reads. Needs the extra ``kafka``."""

import asyncio
import random
import selectors
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Final

from llm_hub.kafka_address import Address
from llm_hub.options import Compression
from llm_hub.transport import Answer, Unreachable

_BATCH_BYTES: Final = 512 << 10
_GOODBYE_S: Final = 0.5


class KafkaTransport:
    """Writes each line of a body as a record without a key, in batches, acknowledged by all in-sync replicas.

    What could not be sent goes again as a whole, with a new producer: the events' ids make them count once.
    Construct it in the background thread: this is where aiokafka is imported.

    Parameters
    ----------
    address
        Brokers and topic.
    compression
        Of the batches; gzip where zstandard is not installed.
    options
        Of ``aiokafka.AIOKafkaProducer``: ``security_protocol``, ``ssl_context``, ``sasl_mechanism`` …
    """

    def __init__(self, address: Address, compression: Compression = "gzip", options: Mapping[str, Any] | None = None):
        import aiokafka  # type: ignore[import-untyped]  # optional, and slow to load
        from aiokafka import errors
        from aiokafka.codec import has_zstd  # type: ignore[import-untyped]

        self._make = aiokafka.AIOKafkaProducer
        self._error = errors.KafkaError
        self._too_large = (errors.MessageSizeTooLargeError, errors.RecordListTooLargeError)
        self._refused = (
            errors.TopicAuthorizationFailedError,
            errors.ClusterAuthorizationFailedError,
            errors.InvalidTopicError,
        )
        self._topic = address.topic
        kind = "gzip" if compression == "zstd" and not has_zstd() else compression
        self._options = {
            "bootstrap_servers": address.servers,
            "client_id": "llm-hub-sdk",
            "compression_type": None if kind == "none" else kind,
            "acks": "all",
            "enable_idempotence": True,
            "max_batch_size": _BATCH_BYTES,
            **(options or {}),
        }
        self._producer: Any = None
        self._turn = count(random.getrandbits(16))
        # Not the default selector: a forked child that lets go of the loop would change the one of its parent.
        selector = getattr(selectors, "PollSelector", selectors.SelectSelector)
        self._loop = asyncio.SelectorEventLoop(selector())

    def post(self, body: bytes, headers: dict[str, str], timeout: float) -> Answer:  # noqa: ARG002 - there are none
        """See :class:`llm_hub.transport.Transport`; answers as the hub's door would."""
        try:
            self._run(asyncio.wait_for(self._send(body.split(b"\n")), timeout))
        except self._too_large as error:
            return Answer(413, "", repr(error).encode())
        except self._refused as error:
            return Answer(403, "", repr(error).encode())
        except (self._error, OSError, TimeoutError) as error:
            self._run(self._abandon())
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        return Answer(202, "", b"")

    def close(self) -> None:
        """See :class:`llm_hub.transport.Transport`."""
        self._run(self._abandon())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._loop.run_until_complete(work)

    async def _send(self, lines: list[bytes]) -> None:
        if self._producer is None:
            self._producer = self._make(**self._options)
            await self._producer.start()
        sent, batch = [], self._producer.create_batch()
        for line in lines:
            if batch.append(key=None, value=line, timestamp=None) is None:  # full
                sent.append(await self._submit(batch))
                batch = self._producer.create_batch()
                batch.append(key=None, value=line, timestamp=None)
        sent.append(await self._submit(batch))
        for result in await asyncio.gather(*sent, return_exceptions=True):  # all of them are through before one is told
            if isinstance(result, BaseException):
                raise result

    async def _submit(self, batch: Any) -> "asyncio.Future[Any]":
        """Hand a batch to the producer; the partitions take turns, for order among events means nothing to a hub."""
        partitions = sorted(await self._producer.partitions_for(self._topic))
        partition = partitions[next(self._turn) % len(partitions)]
        future: asyncio.Future[Any] = await self._producer.send_batch(batch, self._topic, partition=partition)
        return future

    async def _abandon(self) -> None:
        """Let go of the producer and of what it still holds, which would come twice otherwise."""
        producer, self._producer = self._producer, None
        await _cancelled()
        if producer is not None:
            with suppress(self._error, OSError, TimeoutError):
                await asyncio.wait_for(producer.stop(), _GOODBYE_S)
        await _cancelled()


async def _cancelled() -> None:
    """Cancel every other task of the loop, and wait for it."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
