"""The front itself: what clickhouse-connect asks of a server, and how it misbehaves."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from tests.servers.clickhouse import ClickHouseFront


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseFront]:
    with ClickHouseFront(tmp_path_factory.mktemp("front")) as started:
        yield started


def _client(front: ClickHouseFront, **more: Any) -> Any:
    parts = urlsplit(front.url())
    arguments = {"username": parts.username, "password": parts.password, "dedicated_pool": True} | more
    return clickhouse_connect.get_client(
        host=parts.hostname, port=parts.port, autogenerate_session_id=False, query_retries=0, **arguments
    )


@pytest.mark.parametrize("compress", [False, "gzip", "lz4", "zstd"])
def test_answers_and_inserts_compressed_as_the_client_asks(front: ClickHouseFront, compress: bool | str) -> None:
    with _client(front, compress=compress) as client:
        client.command("CREATE OR REPLACE TABLE squeezed (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
        client.insert("squeezed", [[number, f"text {number}"] for number in range(1000)], ["a", "b"])
        answer = client.query("SELECT sum(a), uniq(b), {x:String} FROM squeezed", parameters={"x": "it's"})
        assert answer.result_rows == [(499_500, 1000, "it's")]
        assert answer.summary["read_rows"] == "1000"
        with client.query_row_block_stream("SELECT number FROM numbers(200000)") as blocks:
            assert sum(len(block) for block in blocks) == 200_000


def test_parameters_too_long_for_an_address_come_in_a_form(front: ClickHouseFront) -> None:
    with _client(front) as client:
        names = [f"a-rather-long-name-{number}" for number in range(2000)]
        found = client.query("SELECT length({names:Array(String)}) AS n", parameters={"names": names})
        assert found.result_rows == [(2000,)]


def test_an_arrow_stream_without_rows_is_one(front: ClickHouseFront) -> None:
    with _client(front) as client:
        sql = "SELECT number FROM numbers(9) WHERE number > {x:UInt8}"
        with (
            client.raw_stream(sql, parameters={"x": 9}, fmt="ArrowStream") as body,
            pa.ipc.open_stream(body) as reader,
        ):
            assert reader.read_all().num_rows == 0


def test_settings_of_a_request_are_its_own(front: ClickHouseFront) -> None:
    with _client(front) as client:
        assert client.command("SELECT getSetting('max_threads')", settings={"max_threads": 1}) == 1
        assert client.command("SELECT getSetting('max_threads')") == 2
        with pytest.raises(DatabaseError, match="UNKNOWN_SETTING"):
            client.query("SELECT 1", settings={"no_such_setting": 1})


def test_wrong_questions_have_codes(front: ClickHouseFront) -> None:
    with _client(front) as client:
        with pytest.raises(DatabaseError) as caught:
            client.query("SELECT * FROM nowhere")
        assert caught.value.code == 60
    with pytest.raises(DatabaseError) as caught:
        _client(front, password="wrong")
    assert caught.value.code == 516


def test_an_answer_that_breaks_off_is_noticed(front: ClickHouseFront) -> None:
    sql = "SELECT throwIf(number = 15000000) FROM numbers(20000000)"
    with (
        _client(front) as client,
        client.raw_stream(sql, fmt="ArrowStream") as body,
        pytest.raises(Exception, match=r"broken|IncompleteRead"),
    ):
        body.read()


def test_it_misbehaves_as_told_and_recovers(front: ClickHouseFront) -> None:
    with _client(front) as client:
        client.command("CREATE TABLE odd (x UInt8) ENGINE = MergeTree ORDER BY x")
        front.misbehave("refuse", 60)
        with pytest.raises(OperationalError, match="refused"):
            client.query("SELECT 1")
        front.misbehave("error", 60)
        with pytest.raises(DatabaseError) as caught:
            client.query("SELECT 1")
        assert caught.value.code == 999
        front.misbehave("lose", 60)
        with pytest.raises(OperationalError):
            client.command("INSERT INTO odd SELECT 1")
        front.misbehave("hang", 0.2)
        begun = time.monotonic()
        assert client.command("SELECT count() FROM odd") == 1  # the lost insert was done
        assert time.monotonic() - begun > 0.1


def test_killed_and_started_again_it_has_what_it_had(tmp_path: Path) -> None:
    front = ClickHouseFront(tmp_path)
    front.start()
    with _client(front) as client:
        client.command("CREATE TABLE kept (x UInt8) ENGINE = MergeTree ORDER BY x")
        client.command("INSERT INTO kept SELECT 7")
    front.kill()
    with front, _client(front) as client:
        assert client.command("SELECT x FROM kept") == 7
        front.stop()
