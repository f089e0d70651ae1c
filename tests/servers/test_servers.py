"""The servers that other tests start: they answer, keep what they have through a kill, and come back at one address."""

from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.servers.kafka import Kafka
from tests.servers.postgres import Postgres, _psql, database_url
from tests.servers.process import Unavailable, free_ports


async def test_a_kafka_keeps_its_records_through_a_kill(kafka: str, tmp_path: Path) -> None:
    broker = Kafka(tmp_path / "kafka")
    broker.start()
    try:
        async with AIOKafkaProducer(bootstrap_servers=broker.servers) as producer:
            await producer.send_and_wait("t", b"one")
        broker.kill()
        broker.start()
        async with AIOKafkaConsumer("t", bootstrap_servers=broker.servers, auto_offset_reset="earliest") as consumer:
            assert (await consumer.getone()).value == b"one"
        broker.stop()
    finally:
        broker.kill()


def test_a_postgres_keeps_its_rows_through_a_kill(postgres: str, tmp_path: Path) -> None:
    server = Postgres(tmp_path / "postgres")
    server.start()
    try:
        url = server.url("other")
        _psql(url, "CREATE TABLE t (a int); INSERT INTO t VALUES (7)")
        server.kill()
        server.start()
        assert _psql(url, "SELECT a FROM t").strip() == "7"
        server.stop()
        server.start()
        assert server.url("other") == url
    finally:
        server.kill()


def test_the_sessions_postgres_makes_databases(postgres: str) -> None:
    assert database_url(postgres, "a_new_one").endswith("/a_new_one")
    assert database_url(postgres, "a_new_one").endswith("/a_new_one")


def test_what_does_not_start_says_what_it_said(tmp_path: Path, kafka: str) -> None:
    broker = Kafka(tmp_path / "kafka", properties={"process.roles": "nonsense"})
    with pytest.raises(RuntimeError, match=r"did not start:(.|\n)*nonsense"):
        broker.start()


def test_without_java_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="default-jre-headless"):
        Kafka(tmp_path / "kafka").start()


def test_neighbouring_ports_are_free() -> None:
    assert 20_000 <= free_ports(2) < 32_768
