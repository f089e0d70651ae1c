"""The block journal: what was begun is known after a restart, what was finished is never sent again."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from core.errors import Conflict
from storage.metadata.database import Metadata
from storage.metadata.journal import Block, SqlBlockJournal

PLACE = ("hub", "hub.events", 3)


@pytest.fixture
async def url(database_url: str) -> str:
    metadata = Metadata(database_url)
    await metadata.start()
    await metadata.migrate()
    await metadata.stop()
    return metadata.url


@pytest.fixture
async def journal(url: str) -> AsyncIterator[SqlBlockJournal]:
    journal = SqlBlockJournal(url)
    yield journal
    journal.close()


def test_an_empty_journal_knows_nothing(journal: SqlBlockJournal) -> None:
    assert journal.pending(*PLACE) is None
    assert journal.done_through(*PLACE) is None


def test_a_begun_block_is_pending_after_a_restart(journal: SqlBlockJournal, url: str) -> None:
    block = journal.begin(*PLACE, 10, 19, "token-1")
    journal.close()
    again = SqlBlockJournal(url)
    assert again.pending(*PLACE) == block == Block(*PLACE, 10, 19, "token-1")
    assert again.done_through(*PLACE) is None
    again.finish(block)
    assert again.pending(*PLACE) is None
    assert again.done_through(*PLACE) == 19
    again.close()


def test_beginning_again_keeps_the_first_token(journal: SqlBlockJournal) -> None:
    journal.begin(*PLACE, 10, 19, "token-1")
    assert journal.begin(*PLACE, 10, 19, "token-2").token == "token-1"


@pytest.mark.parametrize(("first", "last"), [(10, 18), (10, 20), (9, 10), (19, 30), (12, 13), (0, 99)])
def test_other_bounds_over_an_unfinished_block_are_refused(journal: SqlBlockJournal, first: int, last: int) -> None:
    journal.begin(*PLACE, 10, 19, "token-1")
    with pytest.raises(Conflict, match="10–19"):
        journal.begin(*PLACE, first, last, "token-2")


def test_a_block_that_begins_among_stored_records_is_refused(journal: SqlBlockJournal) -> None:
    """A worker that lost the partition, and has not noticed, would store them again."""
    journal.finish(journal.begin(*PLACE, 10, 19, "token-1"))
    for first, last in ((19, 30), (10, 20), (0, 99)):
        with pytest.raises(Conflict, match="up to 19"):
            journal.begin(*PLACE, first, last, "token-2")
    assert journal.begin(*PLACE, 20, 30, "token-3").first == 20


def test_pending_comes_in_order(journal: SqlBlockJournal) -> None:
    second = journal.begin(*PLACE, 20, 29, "b")
    first = journal.begin(*PLACE, 10, 19, "a")
    assert journal.pending(*PLACE) == first
    journal.finish(first)
    assert journal.pending(*PLACE) == second


def test_finishing_twice_and_late_never_moves_back(journal: SqlBlockJournal) -> None:
    first, second = journal.begin(*PLACE, 0, 9, "a"), journal.begin(*PLACE, 10, 19, "b")
    journal.finish(second)
    assert journal.done_through(*PLACE) == 19
    assert journal.pending(*PLACE) == first
    journal.finish(first)
    journal.finish(second)
    assert journal.done_through(*PLACE) == 19
    assert journal.pending(*PLACE) is None


def test_partitions_topics_and_groups_are_apart(journal: SqlBlockJournal) -> None:
    journal.finish(journal.begin("hub", "hub.events", 0, 0, 9, "a"))
    assert journal.done_through("hub", "hub.events", 1) is None
    assert journal.done_through("hub", "hub.metrics", 0) is None
    assert journal.done_through("other", "hub.events", 0) is None


def test_of_two_workers_that_begin_at_once_one_may(url: str) -> None:
    """As for a moment after a rebalance: both have the same records, cut differently."""
    workers = [SqlBlockJournal(url) for _ in range(4)]
    together = Barrier(len(workers))

    def begin(number: int) -> Block | None:
        together.wait()
        try:
            return workers[number].begin(*PLACE, 0, 10 + number, f"token-{number}")
        except Conflict:
            return None

    with ThreadPoolExecutor(len(workers)) as pool:
        begun = [block for block in pool.map(begin, range(len(workers))) if block is not None]
    assert begun == [workers[0].pending(*PLACE)]
    for worker in workers:
        worker.close()


def test_many_threads_write_their_own_partitions(journal: SqlBlockJournal) -> None:
    def work(partition: int) -> int | None:
        for first in range(0, 50, 10):
            journal.finish(journal.begin("hub", "t", partition, first, first + 9, str(first)))
        return journal.done_through("hub", "t", partition)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [49] * 4


def test_a_block_is_refused_when_something_was_stored_beside_it(journal: SqlBlockJournal) -> None:
    beside = ("hub", "eu.hub.events", 3)
    first = journal.begin(*PLACE, 0, 9, "a", [("eu.hub.events", -1)])
    with pytest.raises(Conflict, match="looked up anew"):
        journal.begin(*beside, 0, 4, "b", [("hub.events", -1)])  # one is begun
    journal.finish(first)
    with pytest.raises(Conflict, match="looked up anew"):
        journal.begin(*beside, 0, 4, "b", [("hub.events", -1)])  # it is stored
    second = journal.begin(*beside, 0, 4, "b", [("hub.events", 9)])
    assert journal.begin(*beside, 0, 4, "b", [("hub.events", -1)]) == second, "it is begun already"
    journal.finish(second)
    assert journal.begin(*PLACE, 10, 19, "c", [("eu.hub.events", 4)]).first == 10
