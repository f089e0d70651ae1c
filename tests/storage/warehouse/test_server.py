"""A server by HTTP that does not behave: no block is lost and none is there twice, and nobody waits for nothing."""

import random
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.clock import ManualClock
from core.errors import Retryable, SettingsError
from core.metrics import Metrics
from storage.warehouse.client import Warehouse
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.migrations import migrate
from storage.warehouse.writer import BlockWriter
from tests.servers.certificates import self_signed
from tests.servers.clickhouse import ClickHouseFront
from tests.servers.process import free_ports
from tests.storage.warehouse.rows import NOW, block, events, insert_and_roll, journal, numbered, roller, totals

QUICK = WarehouseConfig(connections=4, wait_seconds=5, read_seconds=1, insert_seconds=1, retry_seconds=0.01)
#: Never opens: the test wants to see each failure.
STUBBORN = WarehouseConfig(
    connections=4, read_seconds=1, insert_seconds=1, retry_seconds=0.01, breaker_failures=1_000_000
)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseFront]:
    """In a time zone far from UTC, as servers may be."""
    with ClickHouseFront(tmp_path_factory.mktemp("front"), zone="America/New_York") as started:
        yield started


@pytest.fixture
def url(front: ClickHouseFront) -> Iterator[str]:
    front.misbehave("error", 0)
    with front.database() as url:
        yield url
        front.misbehave("error", 0)


@pytest.fixture
def house(url: str) -> Iterator[Warehouse]:
    with Warehouse(url, STUBBORN) as warehouse:
        migrate(warehouse)
        yield warehouse


def _value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"llm_hub_{name}", labels) or 0.0


def test_times_are_utc_whatever_the_servers_zone_is(house: Warehouse) -> None:
    insert_and_roll(house, events(0, 100))
    text = "SELECT min(time), timezone(), countIf(time <= {now:DateTime64(6)}), max(expires_at) FROM events"
    first, zone, seen, expiry = house.query(text, {"now": NOW}).rows[0]
    assert (zone, seen) == ("UTC", 100)
    assert (NOW - first).total_seconds() == 49
    assert (expiry - NOW).days == 90
    assert house.query_arrow("SELECT max(time) AS t FROM events").column("t").to_pylist() == [NOW]
    house.insert("payloads", events(0, 1).select(["tenant", "time", "id"]))
    assert house.query("SELECT toUnixTimestamp(expires_at) FROM payloads").scalar() == 4_291_747_200
    assert len({*totals(house).values()}) == 1


@pytest.mark.parametrize("mode", ["refuse", "error", "lose", "hang"])
def test_an_insert_that_had_no_answer_is_stored_once(front: ClickHouseFront, house: Warehouse, mode: Any) -> None:
    front.misbehave(mode, 60)
    with pytest.raises(Retryable):
        house.insert("events", numbered(events(0, 50), 1), "token")
    front.misbehave(mode, 0)
    for _ in range(2):
        house.insert("events", numbered(events(0, 50), 1), "token")
    assert house.query("SELECT count() FROM events").scalar() == 50


def test_an_insert_with_a_token_is_tried_again_by_itself(front: ClickHouseFront, url: str) -> None:
    metrics = Metrics()
    patient = replace(STUBBORN, retry_seconds=0.2)  # its two pauses outlast the errors below
    with Warehouse(url, patient, metrics=metrics) as warehouse:
        migrate(warehouse)
        front.misbehave("hang", 0.3)
        threading.Timer(0.4, front.misbehave, ("error", 0.05)).start()
        for number in range(30):
            warehouse.insert("events", numbered(events(number, 1), number), f"t{number}")
        front.misbehave("lose", 60)
        with pytest.raises(Retryable):
            warehouse.insert("events", numbered(events(30, 1), 30), "t30")
        assert _value(metrics, "warehouse_retries_total", work="insert") >= STUBBORN.retries
        front.misbehave("lose", 0)
        assert warehouse.query("SELECT count(), uniqExact(id) FROM events").rows == [(31, 31)]


@pytest.mark.slow
def test_blocks_and_folds_are_there_once_whatever_the_server_does(
    front: ClickHouseFront, house: Warehouse, tmp_path: Path
) -> None:
    """As the streams do it: write a block until it is stored, then fold; the server misbehaves all along."""
    dice, done = random.Random(5), threading.Event()

    def misbehave() -> None:
        while not done.wait(dice.uniform(0.3, 0.9)):
            mode: Any = dice.choice(["refuse", "error", "lose", "lose", "hang"])
            front.misbehave(mode, dice.uniform(0.02, 0.2))

    spoiling = threading.Thread(target=misbehave)
    notes = journal(tmp_path)
    rolling = roller(house)
    writer = BlockWriter(house, notes, "hub", rolling)
    spoiling.start()
    failures = 0
    try:
        for number in range(4):
            for action in (lambda number=number: writer.write(block(number, 100)), rolling.roll):
                while True:
                    try:
                        action()
                        break
                    except Retryable:
                        failures += 1
    finally:
        done.set()
        spoiling.join()
        front.misbehave("error", 0)
        notes.close()
    assert failures
    counted = totals(house)
    assert len({*counted.values()}) == 1
    assert counted["events"][0] == house.query("SELECT count() FROM payloads").scalar() == 400
    assert house.query("SELECT uniqExact(id) FROM events").scalar() == 400


def test_a_server_that_is_away_is_left_in_peace(front: ClickHouseFront, url: str) -> None:
    clock, metrics = ManualClock(NOW), Metrics()
    with Warehouse(url, QUICK, clock, metrics) as warehouse:
        front.misbehave("error", 60)
        for _ in range(2):
            with pytest.raises(Retryable, match="KEEPER"):
                warehouse.query("SELECT 1")
        assert warehouse.breaker == "open"
        assert _value(metrics, "warehouse_breaker") == 2
        front.misbehave("error", 0)
        with pytest.raises(Retryable, match="does not answer") as caught:
            warehouse.query("SELECT 1")
        assert caught.value.headers["Retry-After"] == "5"
        with pytest.raises(Retryable, match="does not answer"):
            list(warehouse.arrow_stream("SELECT 1"))
        clock.advance(5)
        assert _value(metrics, "warehouse_breaker") == 1
        assert warehouse.query("SELECT 1").scalar() == 1
        assert (warehouse.breaker, _value(metrics, "warehouse_breaker")) == ("closed", 0)


def test_another_host_is_asked(front: ClickHouseFront, url: str) -> None:
    metrics = Metrics()
    both = url.replace("@", f"@127.0.0.1:{free_ports()},")
    with Warehouse(both, STUBBORN, metrics=metrics) as warehouse:
        for _ in range(3):
            assert warehouse.query("SELECT 1").scalar() == 1
        front.misbehave("refuse", 60)
        with pytest.raises(Retryable):
            warehouse.query("SELECT 1")
        front.misbehave("refuse", 0)
        assert warehouse.query("SELECT 1").scalar() == 1
    assert _value(metrics, "warehouse_failovers_total") >= 2


def test_a_wrong_password_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="user or password"):
        Warehouse(url.replace(":front@", ":wrong@"), QUICK).open()


def test_a_server_that_does_not_know_what_is_needed_is_too_old(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.warehouse.hosts._ALWAYS", {"a_setting_of_the_future": 1})
    with pytest.raises(SettingsError, match=r"version .* does not know a_setting_of_the_future"):
        Warehouse(url, QUICK).open()


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_tls_with_a_certificate_that_is_trusted_or_not_looked_at(tmp_path: Path) -> None:
    pem = self_signed(tmp_path / "server.pem")
    with ClickHouseFront(tmp_path / "front", certificate=pem) as front:
        for option in (f"ca={pem}", "verify=false"):
            with Warehouse(f"{front.url()}?{option}", QUICK) as warehouse:
                assert warehouse.query("SELECT 1").scalar() == 1
        with pytest.raises(Retryable) as caught:
            Warehouse(front.url(), QUICK).open()
        assert isinstance(_root(caught.value), ssl.SSLCertVerificationError)


def _root(error: BaseException) -> BaseException:
    while inner := error.__cause__ or error.__context__:
        error = inner
    return error
