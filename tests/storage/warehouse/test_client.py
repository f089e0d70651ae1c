"""The client in both homes, and what is true of the embedded engine alone."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import HubError, Poison, Retryable, SettingsError, SlowDown, Unprocessable
from storage.warehouse.client import Warehouse
from storage.warehouse.config import WarehouseConfig
from storage.warehouse.embedded import engine_options
from storage.warehouse.failures import code_of, failure
from storage.warehouse.pool import SessionPool
from tests.storage.warehouse.rows import EMBEDDED, events

ROOT = Path(__file__).resolve().parents[3]


@EMBEDDED
def test_the_engine_is_tuned(warehouse: Warehouse) -> None:
    wanted = engine_options(warehouse.config)
    found = dict(
        warehouse.query(
            "SELECT name, value FROM system.server_settings WHERE name IN {names:Array(String)}",
            {"names": list(wanted)},
        ).rows
    )
    assert found == {name: wanted[name] for name in found}
    assert {"max_server_memory_usage", "mark_cache_size", "background_pool_size"} <= set(found)


@EMBEDDED
def test_the_engine_keeps_no_logs_of_its_own(warehouse: Warehouse) -> None:
    warehouse.query("SELECT 1")
    logs = warehouse.query("SELECT name FROM system.tables WHERE database = 'system' AND engine LIKE '%MergeTree'")
    assert logs.rows == []


@EMBEDDED
def test_another_process_is_told_that_the_folder_is_taken(warehouse: Warehouse) -> None:
    code = (
        "from storage.warehouse.client import Warehouse\n"
        "from core.errors import SettingsError\n"
        f"try: Warehouse('chdb:///{warehouse.address.path}').open()\n"
        "except SettingsError as error: print(error.detail)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "in use by another process" in done.stdout


@EMBEDDED
def test_this_process_is_told_that_it_has_another_folder_open(warehouse: Warehouse, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="another warehouse folder"):
        Warehouse(f"chdb:///{tmp_path}").open()


@EMBEDDED
def test_databases_of_one_folder_are_apart(warehouse: Warehouse) -> None:
    with Warehouse(f"chdb:///{warehouse.address.path}?database=other", warehouse.config) as other:
        other.command("CREATE TABLE only_here (x UInt8) ENGINE = Memory")
        assert other.query("SELECT count() FROM only_here").scalar() == 0
        assert other.query_arrow("SELECT count() AS n FROM only_here").column("n").to_pylist() == [0]
        with pytest.raises(HubError):
            warehouse.query("SELECT count() FROM only_here")
        other.command("DROP DATABASE other")


def test_threads_share_it(warehouse: Warehouse) -> None:
    warehouse.insert("events", events(0, 50), "t")
    answers: list[int] = []

    def ask() -> None:
        answers.extend(warehouse.query("SELECT count() FROM events").scalar() for _ in range(5))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [50] * 40


def test_memory_of_a_question_is_limited(warehouse: Warehouse) -> None:
    with pytest.raises(Retryable, match="MEMORY_LIMIT"):
        warehouse.query(
            "SELECT length(groupArray(number)) FROM numbers(10000000)", settings={"max_memory_usage": 1_000_000}
        )


def test_rows_of_an_answer_are_limited(warehouse: Warehouse) -> None:
    with pytest.raises(Unprocessable, match="larger than allowed"):
        warehouse.query("SELECT number FROM numbers(1000)", settings={"max_result_rows": 10})


def test_errors_name_neither_sql_nor_values(warehouse: Warehouse) -> None:
    with pytest.raises(HubError) as caught:
        warehouse.query("SELECT {secret:String} FROM nowhere", {"secret": "s3cret"})
    assert "s3cret" not in caught.value.detail
    assert "nowhere" not in caught.value.detail
    assert not isinstance(caught.value, Retryable | Poison)


def test_missing_tables_do_not_poison_a_block(warehouse: Warehouse) -> None:
    with pytest.raises(Retryable):
        warehouse.insert("nowhere", events(0, 1))


def test_closed_means_closed_and_open_again() -> None:
    pool = SessionPool(lambda: pytest.fail("opens nothing"), 1, 0.01)
    pool.close()
    pool.close()
    with pytest.raises(Retryable, match="closed"), pool.session():
        pass


class _Fake:
    closed = False

    def close(self) -> None:
        self.closed = True


def test_a_full_pool_asks_to_slow_down() -> None:
    pool = SessionPool(_Fake, 1, 0.01)  # type: ignore[arg-type]
    with pool.session(), pytest.raises(SlowDown), pool.session():
        pass


def test_a_session_that_outlives_the_pool_is_closed() -> None:
    pool = SessionPool(_Fake, 1, 0.01)  # type: ignore[arg-type]
    with pool.session() as session:
        pool.close()
    assert session.closed  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("error", "work", "kind"),
    [
        (RuntimeError("Code: 117. DB::Exception: bad. (INCORRECT_DATA)"), "insert", Poison),
        (RuntimeError("Code: 241. DB::Exception: full. (MEMORY_LIMIT_EXCEEDED)"), "insert", Retryable),
        (
            RuntimeError("Code: 241. DB::Exception: (total) memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)"),
            "query",
            SlowDown,
        ),
        (
            RuntimeError("Code: 241. DB::Exception: Query memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)"),
            "query",
            Retryable,
        ),
        (RuntimeError("Code: 252. DB::Exception: parts. (TOO_MANY_PARTS)"), "insert", Retryable),
        (RuntimeError("Code: 516. DB::Exception: no. (AUTHENTICATION_FAILED)"), "open", SettingsError),
        (ConnectionError("refused"), "open", Retryable),
        (ConnectionError("refused"), "query", Retryable),
    ],
)
def test_what_errors_mean(error: Exception, work: str, kind: type[HubError]) -> None:
    assert type(failure(error, work)) is kind  # type: ignore[arg-type]


def test_codes_are_read_from_the_error_or_its_text() -> None:
    error = RuntimeError("x")
    assert code_of(error) is None
    error.code = 7  # type: ignore[attr-defined]
    assert code_of(error) == 7


def test_a_setting_must_have_a_plain_name(warehouse: Warehouse) -> None:
    with pytest.raises(HubError):
        warehouse.query_arrow("SELECT 1", settings={"max_threads = 1, x": 1})


@EMBEDDED
def test_it_can_be_opened_again(warehouse: Warehouse) -> None:
    again = Warehouse(f"chdb:///{warehouse.address.path}", WarehouseConfig(connections=2))
    again.open()
    again.close()
    again.open()
    assert again.embedded
    assert again.query("SELECT 1").scalar() == 1
    again.close()
