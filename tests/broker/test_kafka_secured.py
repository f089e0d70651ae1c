"""A real Kafka that lets in only whom it knows: TLS, certificates of clients, PLAIN and SCRAM; log, streams, bridge."""

import asyncio
import logging
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import faust
import pytest

from broker.factory import faust_broker_url, faust_credentials, open_log
from broker.faust_blocks import BlockLimits, Blocks, RecordBlock, blocks_topic
from broker.kafka_address import parse_address
from broker.log import Mark, NewRecord, TopicConfig
from core.clock import SystemClock
from core.errors import Retryable
from ingest.bridge.bridge import BridgeConfig, connect
from tests.servers.certificates import Authority
from tests.servers.kafka import Kafka
from tests.servers.process import free_ports

pytestmark = pytest.mark.kafka

PASSWORD = "hunter2-for-kafka"
URLS = ("tls", "certificate", "plain", "scram")


@pytest.fixture(scope="module")
def urls(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The same broker by each way in."""
    folder = tmp_path_factory.mktemp("secured")
    authority = Authority(folder)
    certificate, key = authority.issue("broker")
    (folder / "broker.both").write_bytes(key.read_bytes() + certificate.read_bytes())
    client = authority.issue("client")
    port = free_ports(6)
    ports = {name: port + 2 + number for number, name in enumerate(URLS)}
    login = "org.apache.kafka.common.security"
    broker = Kafka(
        folder / "kafka",
        port=port,
        scram={"hub": PASSWORD},
        properties={
            "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{port + 1}"
            + "".join(f",{name.upper()}://127.0.0.1:{ports[name]}" for name in URLS),
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,CERTIFICATE:SSL,"
            "PLAIN:SASL_PLAINTEXT,SCRAM:SASL_SSL",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(folder / "broker.both"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(authority.ca),
            "listener.name.certificate.ssl.client.auth": "required",
            "listener.name.plain.sasl.enabled.mechanisms": "PLAIN",
            "listener.name.plain.plain.sasl.jaas.config": f"{login}.plain.PlainLoginModule required "
            f'user_hub="{PASSWORD}";',
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "listener.name.scram.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        },
    )
    broker.start()
    ca, user = f"ca={authority.ca}", f"hub:{PASSWORD}"
    yield {
        "tls": f"kafka://127.0.0.1:{ports['tls']}?{ca}",
        "certificate": f"kafka://localhost:{ports['certificate']}?{ca}&cert={client[0]}&key={client[1]}",
        "plain": f"kafka://{user}@127.0.0.1:{ports['plain']}?security=sasl_plaintext&mechanism=PLAIN",
        "scram": f"kafka://{user}@127.0.0.1:{ports['scram']}?mechanism=SCRAM-SHA-256&{ca}",
    }
    broker.kill()


@pytest.mark.parametrize("way", URLS)
async def test_log_streams_and_bridge_are_let_in(
    urls: dict[str, str], way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "aiokafka")  # as hub.logs has it at any level: at DEBUG it writes every request
    url, topic = urls[way], f"test.{way}"
    log = open_log(url, clock=SystemClock())
    await log.start()
    await log.create_topic(TopicConfig(topic))
    mark = Mark(way.encode(), b"hash", 1, b"answer", datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1))
    await log.append([NewRecord(topic, 0, None, b"one")], mark)
    assert [record.value for record in await log.read(topic, 0, 0)] == [b"one"]
    await log.stop()

    await log.start()
    assert await log.lookup_mark(way.encode()) == mark
    assert await _streamed(url, topic) == [b"one"]
    await log.stop()

    consumer = connect(BridgeConfig(parse_address(url)), [topic])
    await consumer.start()
    found: dict[Any, Any] = {}
    async with asyncio.timeout(30):
        while not found:
            found = dict(await consumer.getmany(timeout_ms=200, max_records=10))
    assert [record.value for records in found.values() for record in records] == [b"one"]
    await consumer.stop()
    assert PASSWORD not in caplog.text
    assert PASSWORD not in repr((log, consumer, parse_address(url)))


async def _streamed(url: str, topic: str) -> list[bytes | None]:
    """What a Faust app gets of the topic, once it has committed behind it."""
    app = faust.App(
        f"app-{topic.removeprefix('test.')}",
        broker=faust_broker_url(url),
        broker_credentials=faust_credentials(url),
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="faust-"),
        web_enabled=False,
        autodiscover=False,
        topic_disable_leader=True,
    )
    blocks = Blocks(app, BlockLimits(linger_s=0.01), SystemClock())
    values: list[bytes | None] = []
    got = asyncio.Event()

    @app.agent(blocks_topic(app, topic, 1), concurrency=1)
    async def agent(stream: Any) -> None:
        await blocks.process(stream, handle)

    async def handle(block: RecordBlock) -> None:
        values.extend(record.value for record in block.records)
        got.set()

    app.finalize()
    await app.maybe_start()
    async with asyncio.timeout(60):
        await got.wait()
    await app.stop()
    return values


@pytest.mark.parametrize("way", ["plain", "scram"])
async def test_who_has_a_wrong_password_is_told_soon(
    urls: dict[str, str], way: str, caplog: pytest.LogCaptureFixture
) -> None:
    log = open_log(urls[way].replace(PASSWORD, "wrong-password"), clock=SystemClock())
    async with asyncio.timeout(20):
        with pytest.raises(Retryable, match="cannot be reached or refused") as caught:
            await log.start()
    assert "wrong-password" not in str(caught.value) + caplog.text


async def test_a_broker_that_another_signed_is_not_trusted(urls: dict[str, str], tmp_path: Path) -> None:
    stranger = Authority(tmp_path)
    log = open_log(urls["tls"].partition("?")[0] + f"?ca={stranger.ca}", clock=SystemClock())
    with pytest.raises(Retryable, match="cannot be reached or refused"):
        await log.start()
