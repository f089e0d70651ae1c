"""Checks of the machine: settings, clock, open files, disk, keys."""

import os
import shutil
from datetime import UTC, datetime
from typing import Final

from access.bootstrap import ADMIN_KEY_FILE
from access.files import read_private
from access.secrets import KEY_FILE, load_data_key
from core.errors import HubError, SettingsError
from hub.release import release
from hub.settings import Settings

#: No hub was built before this day: a clock that says so is wrong.
BUILT: Final = datetime(2026, 11, 1, tzinfo=UTC)
#: Fewer open files than this are soon used up: the engine alone opens hundreds while it merges.
LEAST_FILES: Final = 1024
_GOOD_FILES: Final = 4096


async def settings(settings: Settings) -> str:
    """What is to be known of the settings; those that are wrong did not come so far."""
    exposed = settings.host not in ("127.0.0.1", "::1", "localhost")
    stores = " · ".join(url.partition("://")[0] for url in (settings.broker_url, settings.warehouse_url))
    text = f"release {release()}, data in {settings.data_dir} ({stores})"
    return text + (f"; listens beyond this machine, on {settings.host}" if exposed else "")


async def clock(_: Settings) -> str:
    """Whether the clock can be right at all."""
    now = datetime.now(UTC)
    if now < BUILT:
        raise HubError(f"the clock says {now:%Y-%m-%d}: set it (events more than a day ahead of it are rejected)")
    return f"{now:%Y-%m-%d %H:%M:%S} UTC"


async def files(_: Settings) -> str:
    """How many files a process of this user may open."""
    import resource  # there is none on Windows

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if soft < LEAST_FILES:
        raise HubError(f"{soft} open files are too few: `ulimit -n {_GOOD_FILES}` before the start, or LimitNOFILE=")
    return f"{soft} may be open at a time"


async def disk(settings: Settings) -> str:
    """Whether the data folder can be written and has room."""
    folder = settings.data_dir
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise HubError(f"{folder} cannot be written: change its owner or choose another --data-dir")
    free = shutil.disk_usage(folder).free >> 20
    if free < settings.min_free_disk_mb:
        raise HubError(f"{free} MiB free below {folder}: the doors answer 503 under {settings.min_free_disk_mb} MiB")
    return f"{free / 1024:.1f} GiB free"


async def keys(settings: Settings) -> str:
    """Whether the hub's own secrets are there, whole, and for nobody else to read."""
    folder = settings.data_dir
    admin = read_private(folder / ADMIN_KEY_FILE)
    if settings.data_key.get_secret_value():
        return "the data key is a setting"
    if read_private(folder / KEY_FILE) is not None:
        load_data_key(folder)
        return f"{KEY_FILE} is private and whole"
    if admin is not None:
        raise SettingsError(
            f"{folder / KEY_FILE} is gone: restore it from a backup (without it dead letters and secrets of channels "
            "cannot be read; a new start makes another)"
        )
    return "none yet; the first start makes them"
