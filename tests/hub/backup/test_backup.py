"""A backup holds everything of its moment, and nothing counts twice after a restore, whatever was under way."""

import asyncio
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from access.files import read_private
from core.errors import BadRequest, Conflict, Retryable, SettingsError
from hub.backup.archive import verify
from hub.backup.making import Maker, Stores
from hub.backup.opening import opened as stores_of
from hub.backup.opening import there
from hub.backup.restoring import Restored, Restorer
from hub.settings import Settings
from storage.warehouse.client import Warehouse
from storage.warehouse.rollups import ROLLUPS
from tests.hub.running import PATIENCE, Opened, an_event, client_of, count, opened, settings_of

#: The same in every attempt: a retry is the same body.
TIME = datetime.now(UTC).isoformat()
TENANT, EVENT = "acme", "0192f0c1-0000-7000-8000-0000000000%02d"


def sketch(column: str, function: str) -> str:
    if function == "unique":
        return f"uniqMerge({column})"
    if function == "quantiles":
        return f"arrayMap(x -> toString(x), quantilesDDMerge(0.01, 0.5, 0.9, 0.95, 0.99, 0.999)({column}))"
    return f"sum({column})"


def photograph(warehouse: Warehouse) -> dict[str, list[Any]]:
    """Everything countable of every table, by tenant: raw rows, contents, and each column of each rollup."""
    raw = "count(), sum(input_tokens), sum(output_tokens), sum(cost_usd), sum(cityHash64(id)), uniqExact(id, position)"
    bodies = "count(), sum(cityHash64(id, body)), uniqExact(id)"
    asked = {"events": raw, "payloads": bodies} | {
        one.name: ", ".join(sketch(kept.column, kept.function) for kept in one.kept) for one in ROLLUPS
    }
    return {
        table: warehouse.query(
            f"SELECT tenant, {what} FROM {table} WHERE tenant != '' GROUP BY tenant ORDER BY tenant"
        ).rows
        for table, what in asked.items()
    }


def sent(number: int, **more: Any) -> dict[str, Any]:
    """An event with contents; everything follows from its number."""
    messages = [{"role": "user", "content": f"question {number}"}]
    data = {
        "provider": "openai",
        "model": ("gpt-4o", "gpt-4o-mini")[number % 2],
        "input_tokens": 10 + number,
        "output_tokens": 5,
        "duration_ms": 10.5 * number,
        "input_messages": messages,
    }
    return an_event(
        id=EVENT % number, user_id=f"u-{number % 3}", session_id=f"s-{number % 2}", time=TIME, data=data, **more
    )


async def furnish(hub: Opened) -> str:
    """A tenant with everything, some events of it, and one that was refused; its key."""
    assert (await hub.client.post("/v1/tenants", json={"id": TENANT, "name": "Acme"})).status_code == 201
    body = {"tenant": TENANT, "role": "admin", "scopes": ["ingest", "query", "admin"]}
    key = str((await hub.client.post("/v1/keys", json=body)).json()["key"])
    async with client_of(hub.app, key) as client:
        price = {"model": "gpt-4o", "input_price_usd_per_mtok": 100, "output_price_usd_per_mtok": 1}
        assert (await client.post("/v1/prices", json=price)).status_code == 201
        assert (await client.post("/v1/users", json={"email": "ann@example.com"})).status_code == 201
        await post(client, *(sent(number) for number in range(10)), {"type": "no.such"}, key="first")
        await post(client, sent(10))
        await count(client, 11)
    await hub.send(an_event())
    await hub.count(1)
    return key


async def post(client: httpx.AsyncClient, *events: dict[str, Any], key: str = "") -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await client.post("/v1/events", json=list(events), headers=headers)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def rolled(hub: Opened) -> None:
    """Until all that is stored is in the rollups."""
    behind = "SELECT (SELECT count() FROM events) != (SELECT sum(events) FROM rollup_total_1h)"
    async with asyncio.timeout(PATIENCE):
        while hub.hub.roller.rows_behind() or hub.hub.warehouse.query(behind).scalar():
            await asyncio.to_thread(hub.hub.roller.roll)


async def fetched(hub: Opened, path: Path) -> None:
    """A backup over HTTP."""
    answer = await hub.client.post("/v1/admin/backup")
    assert answer.status_code == 200, answer.text
    await asyncio.to_thread(path.write_bytes, answer.content)


@asynccontextmanager
async def calm() -> AsyncIterator[None]:
    yield


async def made(settings: Settings, path: Path) -> None:
    """A backup of a hub that is not running."""
    async with stores_of(settings) as stores:
        await there(stores)
        with path.open("wb") as file:
            async with aclosing(Maker(stores, calm).pieces()) as pieces:
                async for piece in pieces:
                    file.write(piece)


async def restored(settings: Settings, path: Path, spoil: Callable[[Stores], None] = lambda _: None) -> Restored:
    async with stores_of(settings) as stores:
        spoil(stores)
        return await Restorer(stores, path, lambda *_: None, lambda *_: None).run()


async def waiting(settings: Settings, key: str, *events: dict[str, Any]) -> None:
    """Events that are accepted and not stored when the hub ends."""
    slow = settings.model_copy(update={"block_linger_ms": 10_000.0})
    async with opened(slow) as hub, client_of(hub.app, key) as client:
        await post(client, *events)


@pytest.mark.parametrize("partitions", [(1, 1), (1, 3), (3, 2)])
async def test_everything_comes_back_once(tmp_path: Path, partitions: tuple[int, int]) -> None:
    path = tmp_path / "hub.backup"
    before = settings_of(tmp_path / "before", partitions=partitions[0], backup_passphrase="open sesame")
    after = settings_of(tmp_path / "after", partitions=partitions[1], backup_passphrase="open sesame")
    async with opened(before) as hub:
        key = await furnish(hub)
        await rolled(hub)
        audit = (await hub.client.get("/v1/audit")).json()
        photo = photograph(hub.hub.warehouse)
        await fetched(hub, path)
    verify(path)
    assert (tmp_path / "before/data.key").read_bytes() not in path.read_bytes()

    done = await restored(after, path)
    assert (done.events, done.tenants, done.waiting) == (12, 2, 0)
    assert read_private(tmp_path / "after/data.key") == read_private(tmp_path / "before/data.key")
    async with opened(after) as hub, client_of(hub.app, key) as client:
        assert hub.key == (tmp_path / "before/admin.key").read_text().strip()
        assert photograph(hub.hub.warehouse) == photo
        again = (await hub.client.get("/v1/audit")).json()
        assert [one["action"] for one in again["entries"]][1:] == [one["action"] for one in audit["entries"]]
        assert (await hub.client.get("/v1/audit/verify")).json()["ok"]
        assert len((await client.get("/v1/users")).json()["users"]) == 1
        first = await post(client, *(sent(number) for number in range(10)), {"type": "no.such"}, key="first")
        assert (first["accepted"], first["duplicates"]) == (0, 10)  # the same request again
        await post(client, sent(3), sent(10), sent(11))  # the same ids again, and a new one
        assert await count(client, 12) == 12
        await rolled(hub)
        assert {row[1] for row in photograph(hub.hub.warehouse)["rollup_1h"] if row[0] == TENANT} == {12}
        rows = await client.post("/v1/query", json={"measures": ["events"], "time": {"from": "now-1d", "to": "now+1d"}})
        assert rows.json()["rows"] == [[12]]


@pytest.mark.parametrize("partitions", [(1, 1), (2, 3)])
async def test_what_waits_in_the_log_is_counted_after_the_restore(tmp_path: Path, partitions: tuple[int, int]) -> None:
    path, twice = tmp_path / "hub.backup", tmp_path / "again.backup"
    before = settings_of(tmp_path / "before", partitions=partitions[0])
    after = settings_of(tmp_path / "after", partitions=partitions[1])
    async with opened(before) as hub:
        key = await furnish(hub)
    await waiting(before, key, sent(20), sent(3))  # a new one, and one that is stored already
    await made(before, path)
    done = await restored(after, path)
    assert done.waiting > 0
    await made(after, twice)  # before the hub has ever run on it
    third = settings_of(tmp_path / "third", partitions=partitions[0])
    for settings in (after, third):
        if settings is third:
            await restored(third, twice)
        async with opened(settings) as hub, client_of(hub.app, key) as client:
            assert await count(client, 12) == 12
            await post(client, sent(20), sent(21))
            assert await count(client, 13) == 13
            await rolled(hub)
            photo = photograph(hub.hub.warehouse)
            assert [row[1] for row in photo["rollup_1h"]] == [13, 1]
            assert [row[1] for row in photo["payloads"]] == [13]


async def test_a_backup_beside_running_doors_is_of_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    before, after = settings_of(tmp_path / "before"), settings_of(tmp_path / "after")
    accepted: list[int] = []
    async with opened(before) as hub:
        key = await furnish(hub)
        ending = asyncio.Event()

        async def send() -> None:
            async with client_of(hub.app, key) as client:
                number = 30
                while not ending.is_set():
                    await post(client, an_event(data={"model": "m", "input_tokens": 1, "input_messages": "x"}))
                    accepted.append(number)

        sending = asyncio.create_task(send())
        async with asyncio.timeout(PATIENCE):
            while len(accepted) < 20:  # noqa: ASYNC110 - it is the doors' turn
                await asyncio.sleep(0.01)
        least = len(accepted)
        await fetched(hub, path)
        most = len(accepted) + 1
        ending.set()
        await sending
    await restored(after, path)
    async with opened(after) as hub, client_of(hub.app, key) as client:
        await count(client, 11 + least)
        await rolled(hub)
        found = await count(client, 11 + least)
        assert 11 + least <= found <= 11 + most
        photo = photograph(hub.hub.warehouse)
        (events,) = [row for row in photo["events"] if row[0] == TENANT]
        assert events[1] == events[6] == found  # no event twice
        assert [row[1] for row in photo["payloads"]] == [found]
        assert {row[1] for name in ("rollup_1h", "rollup_10s") for row in photo[name] if row[0] == TENANT} == {found}


class Broken:
    """Lets some calls through, then fails."""

    def __init__(self, inner: Any, good: int) -> None:
        self.inner, self.left = inner, good

    def __call__(self, *args: Any, **more: Any) -> Any:
        if self.left == 0:
            raise Retryable("killed")
        self.left -= 1
        return self.inner(*args, **more)


async def test_a_restore_that_was_cut_short_is_started_again(tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    before, after = settings_of(tmp_path / "before", partitions=2), settings_of(tmp_path / "after")
    async with opened(before) as hub:
        key = await furnish(hub)
        await rolled(hub)
        photo = photograph(hub.hub.warehouse)
    await waiting(before, key, sent(20))
    await made(before, path)

    def insert(good: int) -> Callable[[Stores], None]:
        def spoil(stores: Stores) -> None:
            stores.warehouse.insert = Broken(stores.warehouse.insert, good)  # type: ignore[method-assign]

        return spoil

    def append(good: int) -> Callable[[Stores], None]:
        def spoil(stores: Stores) -> None:
            stores.log.append = Broken(stores.log.append, good)  # type: ignore[method-assign]

        return spoil

    for spoil in (insert(1), insert(4), append(0), append(1), append(3)):
        with pytest.raises(Retryable, match="killed"):
            await restored(after, path, spoil)
        with pytest.raises(SettingsError, match="half restored"):
            async with opened(after):
                pass
    other = tmp_path / "other.backup"
    await made(before, other)
    with pytest.raises(Conflict, match="Another backup"):
        await restored(after, other)
    await restored(after, path)
    async with opened(after) as hub, client_of(hub.app, key) as client:
        assert await count(client, 12) == 12
        await rolled(hub)
        now = photograph(hub.hub.warehouse)
        assert [row[1] for row in now["rollup_total_1h"]] == [12, 1]
        assert now["payloads"][0][1] == photo["payloads"][0][1] + 1
    with pytest.raises(Conflict, match="empty hub only"):
        await restored(after, path)


async def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "hub.backup"
    before = settings_of(tmp_path / "before", backup_passphrase="one")
    async with opened(before) as hub:
        await hub.send(an_event())
        await hub.count(1)
        await fetched(hub, path)
    good = path.read_bytes()
    wrong = {
        "cut off": good[: len(good) // 2],
        "turned over": good.replace(b"gpt-4o", b"gpt-5o") if b"gpt-4o" in good else _flipped(good),
        "no backup": b"something else" * 1000,
        "empty": b"",
        "newer": _renamed(good, b'"version": 1', b'"version": 9'),
    }
    for name, content in wrong.items():
        path.write_bytes(content)
        with pytest.raises(BadRequest):
            await restored(settings_of(tmp_path / name, backup_passphrase="one"), path)
        assert not (tmp_path / name / "data.key").exists()
    path.write_bytes(good)
    for passphrase, what in (("", "are sealed"), ("two", "is not the one")):
        with pytest.raises(SettingsError, match=what):
            await restored(settings_of(tmp_path / "sealed", backup_passphrase=passphrase), path)
    with pytest.raises(SettingsError, match="not the data key"):
        await restored(settings_of(tmp_path / "sealed", backup_passphrase="one", data_key="ab" * 32), path)


def _flipped(content: bytes) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        place = next(one for one in archive if one.name.startswith("events/")).offset_data + 100
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def _renamed(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


async def test_only_who_runs_the_hub_may_back_it_up(tmp_path: Path) -> None:
    async with opened(settings_of(tmp_path)) as hub:
        key = await furnish(hub)
        async with client_of(hub.app, key) as client:
            assert (await client.post("/v1/admin/backup")).status_code == 403
        path = tmp_path / "hub.backup"
        await fetched(hub, path)
        manifest = verify(path).manifest
        assert manifest["totals"]["events"]["rows"] == 12
        entries = (await hub.client.get("/v1/audit")).json()["entries"]
        assert "hub.backup" in {one["action"] for one in entries}
