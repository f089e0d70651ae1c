"""Which hub a command means: a running one over HTTP, or a folder that nobody has open."""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

from core.errors import HubError
from hub.settings import Settings, load


@dataclass(frozen=True, slots=True)
class Running:
    """A hub that answers over HTTP."""

    url: str
    key: str


@dataclass(frozen=True, slots=True)
class Folder:
    """The data of a hub that is not running."""

    settings: Settings


def find(args: argparse.Namespace) -> Running | Folder:
    """The hub that ``args`` names.

    Raises
    ------
    HubError
        A URL without a key, or a running hub whose key cannot be read.
    """
    url = args.url or os.environ.get("LLM_HUB_URL")
    key = args.key or os.environ.get("LLM_HUB_KEY")
    if url:
        if not key:
            raise HubError("--url needs --key (or LLM_HUB_KEY): create one with `llm-hub keys create`")
        return Running(url.rstrip("/"), key)
    settings = load({"data_dir": args.data_dir})
    found = running_url(settings.folder)
    if found is None:
        return Folder(settings)
    return Running(found, key or admin_key(settings))


def running(args: argparse.Namespace) -> Running:
    """Like :func:`find`, for commands that only a running hub can serve."""
    target = find(args)
    if isinstance(target, Folder):
        raise HubError(
            f"no hub is running on {target.settings.folder}: start one (`llm-hub up`), or name one with --url and --key"
        )
    return target


def running_url(folder: Path) -> str | None:
    """The URL in ``hub.json`` if the process that wrote it is alive."""
    try:
        entry = json.loads((folder / "hub.json").read_text())
        os.kill(int(entry["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(entry["url"])


def admin_key(settings: Settings) -> str:
    """The first key of a hub: a setting, or in its folder."""
    return settings.admin_key.get_secret_value() or read_admin_key(settings.folder)


def read_admin_key(folder: Path) -> str:
    """The first key of a hub, kept beside its data."""
    try:
        return (folder / "admin.key").read_text().strip()
    except OSError as error:
        raise HubError(f"cannot read {folder / 'admin.key'} ({error.strerror}): pass --key") from None
