"""Authentication: first start, expiry, rotation, revocation, caching."""

import asyncio
import logging
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select

from access.audit import SYSTEM
from access.cache import CacheConfig, PrincipalCache
from access.keys import NewKey, new_secret
from access.principal import Principal, Role, Scope
from access.service import Access, AccessConfig
from core.clock import ManualClock
from core.errors import Conflict, NotFound, SettingsError, Unauthenticated, Unprocessable
from storage.metadata.database import Metadata
from storage.metadata.models import Base

QUERY = frozenset({Scope.QUERY})


class Counter:
    """Counts the statements that reach the database."""

    def __init__(self, metadata: Metadata) -> None:
        self.count = 0
        event.listen(metadata.engine.sync_engine, "before_cursor_execute", self._seen)

    def _seen(self, *_args: object) -> None:
        self.count += 1


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def viewer(**changes: object) -> NewKey:
    return NewKey("default", Role.VIEWER, QUERY, **changes)  # type: ignore[arg-type]


async def test_the_first_start_makes_a_tenant_and_a_key(access: Access, admin_secret: str, tmp_path: Path) -> None:
    principal = await access.authenticate(admin_secret)
    assert (principal.tenant, principal.role, principal.scopes) == ("default", Role.ADMIN, frozenset(Scope))
    for name in ("admin.key", "data.key"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    assert not any(name.startswith(".") for name in names(tmp_path))


async def test_later_starts_make_nothing(
    access: Access, admin_secret: str, metadata: Metadata, clock: ManualClock, tmp_path: Path
) -> None:
    (tmp_path / "admin.key").unlink()
    again = Access(metadata, clock, AccessConfig(tmp_path))
    await again.start()
    await again.stop()
    assert not (tmp_path / "admin.key").exists()
    assert len(await again.keys.list("default")) == 1
    assert (await again.authenticate(admin_secret)).role is Role.ADMIN


async def test_a_lost_database_takes_the_key_of_the_file(
    access: Access, admin_secret: str, clock: ManualClock, tmp_path: Path
) -> None:
    empty = Metadata(f"sqlite:///{tmp_path}/new.db")
    await empty.start()
    await empty.migrate()
    again = Access(empty, clock, AccessConfig(tmp_path))
    await again.start()
    assert (await again.authenticate(admin_secret)).role is Role.ADMIN
    assert (tmp_path / "admin.key").read_text().strip() == admin_secret
    await again.stop()
    await empty.stop()


@pytest.mark.parametrize(("content", "mode"), [("something else", 0o600), ("", 0o600), (new_secret()[1], 0o644)])
async def test_a_wrong_key_file_stops_the_start_and_stays(
    metadata: Metadata, clock: ManualClock, tmp_path: Path, content: str, mode: int
) -> None:
    path = tmp_path / "admin.key"
    path.write_text(content)
    path.chmod(mode)
    with pytest.raises(SettingsError, match=r"admin\.key") as caught:
        await Access(metadata, clock, AccessConfig(tmp_path)).start()
    assert path.read_text() == content
    assert "lh_" not in str(caught.value)


async def test_a_given_key_is_the_first_one_and_is_written_nowhere(
    metadata: Metadata, clock: ManualClock, tmp_path: Path
) -> None:
    given = new_secret()[1]
    hubs = [Access(metadata, clock, AccessConfig(tmp_path / name, b"k" * 32, given)) for name in "ab"]
    await asyncio.gather(*(hub.start() for hub in hubs))
    for hub in hubs:
        assert (await hub.authenticate(given)).scopes == frozenset(Scope)
        await hub.stop()
    assert len(await hubs[0].keys.list("default")) == 1
    assert names(tmp_path) == []
    assert given not in repr(hubs[0].config)


async def test_a_link_in_place_of_the_key_is_refused(metadata: Metadata, clock: ManualClock, tmp_path: Path) -> None:
    (tmp_path / "admin.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="plain file"):
        await Access(metadata, clock, AccessConfig(tmp_path)).start()


async def test_two_hubs_may_start_at_once(metadata: Metadata, clock: ManualClock, tmp_path: Path) -> None:
    both = [Access(metadata, clock, AccessConfig(tmp_path)) for _ in range(2)]
    await asyncio.gather(*(hub.start() for hub in both))
    secret = (tmp_path / "admin.key").read_text().strip()
    for hub in both:
        assert (await hub.authenticate(secret)).tenant == "default"
        await hub.stop()


@pytest.mark.parametrize(
    "secret", ["", "lh_", "lh_x_y", "Bearer", "lh_0123456789abcdef_" + "g" * 64, "ключ", "\udc80", "lh_" * 9999]
)
async def test_what_is_no_key_is_said_to_be_none(access: Access, secret: str) -> None:
    with pytest.raises(Unauthenticated, match="no key of the hub"):
        await access.authenticate(secret)


async def test_an_unknown_key_and_a_wrong_secret_are_told_alike(access: Access, admin_secret: str) -> None:
    wrong = admin_secret[:-1] + ("0" if admin_secret[-1] != "0" else "1")
    answers = set()
    for secret in (wrong, new_secret()[1]):
        with pytest.raises(Unauthenticated) as caught:
            await access.authenticate(secret)
        answers.add(caught.value.detail)
    assert len(answers) == 1


async def test_a_key_ends_when_it_expires_although_it_is_cached(access: Access, clock: ManualClock) -> None:
    issued = await access.keys.create(viewer(expires_at=clock.now() + timedelta(seconds=5)), SYSTEM)
    assert (await access.authenticate(issued.secret)).key_id == issued.row.id
    clock.advance(5)
    with pytest.raises(Unauthenticated, match="expired"):
        await access.authenticate(issued.secret)


async def test_a_revoked_key_ends_at_once(access: Access) -> None:
    issued = await access.keys.create(viewer(), SYSTEM)
    await access.authenticate(issued.secret)
    await access.keys.revoke(issued.row.id, SYSTEM)
    await access.keys.revoke(issued.row.id, SYSTEM)
    with pytest.raises(Unauthenticated, match="revoked"):
        await access.authenticate(issued.secret)
    with pytest.raises(Conflict):
        await access.keys.rotate(issued.row.id, SYSTEM)


async def test_rotation_ends_the_old_key_at_once_or_after_its_grace(access: Access, clock: ManualClock) -> None:
    first = await access.keys.create(viewer(name="dash"), SYSTEM)
    await access.authenticate(first.secret)
    second = await access.keys.rotate(first.row.id, SYSTEM)
    with pytest.raises(Unauthenticated):
        await access.authenticate(first.secret)
    third = await access.keys.rotate(second.row.id, SYSTEM, timedelta(hours=1))
    assert (await access.authenticate(second.secret)).key_id == second.row.id
    assert (await access.authenticate(third.secret)).scopes == QUERY
    assert third.row.name == "dash"
    clock.advance(3600)
    with pytest.raises(Unauthenticated, match="expired"):
        await access.authenticate(second.secret)


async def test_scopes_are_cut_to_the_role(access: Access) -> None:
    with pytest.raises(Unprocessable) as caught:
        await access.keys.create(NewKey("default", Role.VIEWER, frozenset({Scope.INGEST})), SYSTEM)
    assert caught.value.extra == {"field": "scopes"}
    with pytest.raises(Unprocessable):
        await access.keys.create(NewKey("default", Role.ADMIN, frozenset()), SYSTEM)
    with pytest.raises(Unprocessable, match="no tenant 'nobody'"):
        await access.keys.create(NewKey("nobody", Role.VIEWER, QUERY), SYSTEM)
    with pytest.raises(NotFound):
        await access.keys.get("0" * 16)


async def test_good_and_bad_keys_are_cached(access: Access, metadata: Metadata, clock: ManualClock) -> None:
    good, bad = await access.keys.create(viewer(), SYSTEM), new_secret()[1]

    async def both() -> int:
        before = counter.count
        await access.authenticate(good.secret)
        with pytest.raises(Unauthenticated):
            await access.authenticate(bad)
        return counter.count - before

    counter = Counter(metadata)
    assert await both() > 0
    assert await both() == 0
    clock.advance(31)
    assert await both() > 0


async def test_a_key_revoked_by_another_process_ends_within_the_ttl(
    access: Access, metadata: Metadata, clock: ManualClock, tmp_path: Path
) -> None:
    other = Access(metadata, clock, AccessConfig(tmp_path))
    issued = await access.keys.create(viewer(), SYSTEM)
    await other.authenticate(issued.secret)
    await access.keys.revoke(issued.row.id, SYSTEM)
    clock.advance(31)
    with pytest.raises(Unauthenticated):
        await other.authenticate(issued.secret)


def test_the_cache_is_bounded_and_keeps_nothing_that_was_revoked_meanwhile(clock: ManualClock) -> None:
    cache = PrincipalCache(clock, CacheConfig(size=2, negative_size=2))
    caller = Principal("t", "k", Role.VIEWER, QUERY)
    for number in range(5):
        cache.keep(bytes([number]), caller, cache.generation)
        cache.refuse(bytes([100 + number]), "no")
    assert len(cache) == 4
    generation = cache.generation
    cache.forget("k")
    assert cache.get(bytes([4])) is None
    cache.keep(b"late", caller, generation)
    assert cache.get(b"late") is None


async def test_when_a_key_was_last_used_is_written_down(access: Access, clock: ManualClock) -> None:
    issued = await access.keys.create(viewer(), SYSTEM)
    await access.authenticate(issued.secret)
    assert (await access.keys.get(issued.row.id)).last_used_at is None
    await access.refresh()
    assert (await access.keys.get(issued.row.id)).last_used_at == clock.now()


async def test_refreshing_survives_a_database_that_is_away(
    access: Access, metadata: Metadata, clock: ManualClock, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    tried = asyncio.Event()

    async def refuse() -> None:
        tried.set()
        raise OSError("away")

    await asyncio.sleep(0)
    monkeypatch.setattr(access.tenants, "refresh", refuse)
    clock.advance(6)
    await asyncio.wait_for(tried.wait(), 5)
    await asyncio.sleep(0)
    assert "could not be refreshed" in caplog.text
    assert access.settings("default").retention_days.events == 90


async def test_secrets_are_in_no_log_and_no_repr(
    access: Access, admin_secret: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    issued = await access.keys.create(viewer(), SYSTEM)
    rotated = await access.keys.rotate(issued.row.id, SYSTEM)
    shown = [repr(issued), repr(issued.row), repr(rotated), repr(await access.authenticate(admin_secret))]
    shown += [repr(access), repr(access.box), repr(access.config), repr(AccessConfig(tmp_path, b"k" * 32)), caplog.text]
    shown += [repr((entry.detail, entry.resource)) for entry in await access.audit.list("default")]
    everything = "\n".join(shown)
    for secret in (issued.secret, rotated.secret, admin_secret):
        assert secret.rpartition("_")[2] not in everything
    assert "kkkk" not in everything


async def test_secrets_are_not_in_the_database(access: Access, admin_secret: str, metadata: Metadata) -> None:
    await access.stop()
    async with metadata.reading() as session:
        tables = [list(await session.execute(select(table))) for table in Base.metadata.sorted_tables]
    public, _, secret = admin_secret.removeprefix("lh_").partition("_")
    assert public in repr(tables)
    assert secret not in repr(tables)
    assert bytes.fromhex(secret) not in [value for rows in tables for row in rows for value in row]


def test_new_secrets_are_long_and_different() -> None:
    secrets = {new_secret()[1] for _ in range(100)}
    assert len(secrets) == 100
    assert all(len(secret.rpartition("_")[2]) * 4 >= 256 for secret in secrets)


async def test_hubs_that_start_at_once_on_other_machines_make_one_key(
    metadata: Metadata, clock: ManualClock, tmp_path: Path, database_url: str
) -> None:
    if not database_url.startswith("postgresql"):
        return  # machines share no SQLite
    hubs = [Metadata(database_url) for _ in range(4)]
    folders = [tmp_path / str(number) for number in range(4)]
    starting = []
    for folder, hub in zip(folders, hubs, strict=True):
        folder.mkdir()
        await hub.start()
        starting.append(Access(hub, clock, AccessConfig(folder, data_key=bytes(32))))
    await asyncio.gather(*(access.start() for access in starting))
    assert sum((folder / "admin.key").exists() for folder in folders) == 1
    assert len(await starting[0].keys.list("default")) == 1
    for access, hub in zip(starting, hubs, strict=True):
        await access.stop()
        await hub.stop()
