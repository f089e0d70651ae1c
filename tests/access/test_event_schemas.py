"""The store of tenants' own event types: versions, limits, freshness, audit."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from access import event_schemas
from access.audit import SYSTEM
from access.service import Access, AccessConfig
from core.clock import ManualClock
from core.errors import Conflict, NotFound, Unprocessable
from storage.metadata.database import Metadata

CART = {"type": "object", "properties": {"items": {"type": "integer"}}}
MORE = {"type": "object", "properties": {"items": {"type": "integer"}, "coupon": {"type": "string"}}}
OTHER = {"type": "object", "properties": {"basket": {"type": "string"}}}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Access, Access]]:
    """Two processes of one hub."""
    opened: list[Any] = []
    found = []
    for _ in range(2):
        metadata = Metadata(f"sqlite:///{tmp_path}/hub.db")
        await metadata.start()
        await metadata.migrate()
        access = Access(metadata, ManualClock(datetime(2026, 11, 20, tzinfo=UTC)), AccessConfig(tmp_path))
        await access.start()
        opened += [metadata, access]
        found.append(access)
    yield found[0], found[1]
    for part in reversed(opened):
        await part.stop()


async def test_versions_follow_from_what_changes(pair: tuple[Access, Access]) -> None:
    one, other = pair
    put = one.schemas.put
    made, new = await put("default", "shop.cart", CART, SYSTEM)
    assert (made.newest, new) == ((1, 0), True)
    assert (await put("default", "shop.cart", CART, SYSTEM))[1] is False
    assert (await put("default", "shop.cart", MORE, SYSTEM))[0].newest == (1, 1)
    with pytest.raises(Conflict) as caught:
        await put("default", "shop.cart", OTHER, SYSTEM)
    assert caught.value.extra["problems"] == ["data.items is gone", "data.coupon is gone"]
    assert "compatibility=none" in caught.value.detail
    assert (await put("default", "shop.cart", OTHER, SYSTEM, "none"))[0].newest == (2, 0)
    both = {**OTHER, "properties": {**OTHER["properties"], "x": True}}  # type: ignore[dict-item]
    assert (await put("default", "shop.cart", both, SYSTEM, "none"))[0].newest == (2, 1)

    assert other.schemas.current("default") == {}
    await other.refresh()
    ready = other.schemas.current("default")["shop.cart"]
    assert sorted(ready.documents) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    await other.refresh()
    assert other.schemas.current("default")["shop.cart"] is ready, "compiled once"
    actions = [(entry.action, entry.detail.get("version")) for entry in await one.audit.list("default")]
    assert [("schema.put", version) for version in ("2.1", "2.0", "1.1", "1.0")] == actions[:4]


async def test_a_type_goes_with_its_versions_or_its_tenant(pair: tuple[Access, Access]) -> None:
    one, other = pair
    await one.tenants.create("acme", "Acme", SYSTEM)
    for tenant in ("default", "acme"):
        await one.schemas.put(tenant, "shop.cart", CART, SYSTEM)
    await one.schemas.delete("default", "shop.cart", SYSTEM)
    assert one.schemas.current("default") == {}
    assert set(one.schemas.current("acme")) == {"shop.cart"}
    with pytest.raises(NotFound):
        await one.schemas.delete("default", "shop.cart", SYSTEM)
    await one.tenants.delete("acme", SYSTEM)
    await other.refresh()
    assert other.schemas.current("acme") == {}


async def test_there_are_not_too_many(pair: tuple[Access, Access], monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = pair
    monkeypatch.setattr(event_schemas, "MAX_TYPES", 1)
    monkeypatch.setattr(event_schemas, "MAX_VERSIONS", 2)
    await one.schemas.put("default", "shop.cart", CART, SYSTEM)
    with pytest.raises(Unprocessable, match="1 event types"):
        await one.schemas.put("default", "shop.other", CART, SYSTEM)
    await one.schemas.put("default", "shop.cart", MORE, SYSTEM)
    with pytest.raises(Unprocessable, match="2 versions"):
        await one.schemas.put("default", "shop.cart", OTHER, SYSTEM, "none")
    with pytest.raises(Unprocessable, match="namespace"):
        await one.schemas.put("default", "llm.cart", CART, SYSTEM)
