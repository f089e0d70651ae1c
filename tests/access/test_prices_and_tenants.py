"""What is kept in memory: which own price wins, and settings that another process wrote."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from access.audit import SYSTEM
from access.prices import NewPrice, OwnPrice
from access.service import Access, AccessConfig
from access.tenant_settings import TenantSettings
from core.clock import ManualClock
from core.errors import SettingsError, Unprocessable
from storage.metadata.database import Metadata
from storage.metadata.models import Tenant


def price(model: str, **more: Any) -> NewPrice:
    return NewPrice(model=model, input_price_usd_per_mtok=1, output_price_usd_per_mtok=2, **more)


async def test_the_exact_the_longer_and_the_newer_pattern_wins(access: Access, clock: ManualClock) -> None:
    later = clock.now() + timedelta(days=1)
    for new in (
        price("*"),
        price("llama-*"),
        price("llama-3"),
        price("llama-3", valid_from=later),
        price("llama-*", provider="Own"),
    ):
        await access.prices.create("default", new, SYSTEM)

    def found(model: str, provider: str | None = None, days: int = 0) -> tuple[str, str | None, bool] | None:
        own = access.prices.lookup("default", provider, model, clock.now() + timedelta(days=days))
        return None if own is None else (own.model, own.provider, own.valid_from == later)

    assert found("llama-3") == ("llama-3", None, False)
    assert found("LLAMA-3", days=2) == ("llama-3", None, True)
    assert found("llama-2") == ("llama-*", None, False)
    assert found("llama-2", "own") == ("llama-*", "Own", False)
    assert found("gpt") == ("*", None, False)
    assert access.prices.lookup("other", None, "gpt", clock.now()) is None


async def test_an_hourly_price_over_tokens_is_a_price_per_token() -> None:
    rates = NewPrice(model="m", gpu_hour_usd=2, output_tokens_per_gpu_hour=4_000_000)
    by_time = NewPrice(model="m", gpu_hour_usd=2, gpus=4)
    own = [{**new.model_dump(), "id": "i", "created_at": new.valid_from} for new in (rates, by_time)]
    first, second = (OwnPrice.model_validate(fields).rates() for fields in own)
    assert (first["output_usd_per_mtok"], first["input_usd_per_mtok"], first["gpu_hour_usd"]) == (0.5, 0.0, 0.0)
    assert (second["gpu_hour_usd"], second["gpus"], second["output_usd_per_mtok"]) == (2.0, 4.0, 0.0)


async def test_changes_of_another_process_come_with_the_refresh(
    access: Access, metadata: Metadata, clock: ManualClock, tmp_path: Path
) -> None:
    other = Access(metadata, clock, AccessConfig(tmp_path))
    await other.tenants.update("default", SYSTEM, settings=TenantSettings(content_capture=False))
    await other.prices.create("default", price("m"), SYSTEM)
    version = access.prices.version
    assert access.settings("default").content_capture
    await access.refresh()
    assert not access.settings("default").content_capture
    assert access.prices.version == version + 1
    assert "default" in access.tenants.ids()


async def test_settings_of_a_newer_hub_are_named_and_what_is_in_memory_stays(
    access: Access, metadata: Metadata
) -> None:
    async with metadata.session() as session:
        (await session.get_one(Tenant, "default")).settings = {"redaction": {"colour": "red"}}
    with pytest.raises(SettingsError, match=r"redaction\.colour"):
        await access.refresh()
    assert access.settings("default") == TenantSettings()


async def test_an_id_that_is_none_is_refused(access: Access) -> None:
    with pytest.raises(Unprocessable):
        await access.tenants.create("a/b", "", SYSTEM)
