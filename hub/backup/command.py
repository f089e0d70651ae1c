"""What ``llm-hub backup`` does: make a file, check it, restore it for a trial, keep the newest ones."""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from core.errors import Conflict, HubError
from hub.backup.archive import verify
from hub.backup.making import Maker
from hub.backup.opening import opened, there
from hub.client import HubClient
from hub.progress import Progress, progress_bar
from hub.settings import Settings
from hub.target import Running, find

#: Names of backups that are made by time, and so may be deleted by it.
NAME: Final = re.compile(r"llm-hub-\d{8}T\d{6}Z\.backup")
_MIB: Final = 1 << 20


def check(path: Path) -> int:
    """Read a backup from end to end and say what is in it; raises when it is not whole."""
    with progress_bar("checking", "members") as progress:
        found = verify(path, progress)
    totals = found.manifest["totals"]
    sys.stdout.write(
        f"{path} is whole: {totals['events']['rows']:,} events of {totals['metadata/tenants']['rows']} tenants, "
        f"made at {found.header['made_at']} by {found.header['release']}, {found.size:,} bytes\n"
    )
    return 0


def make(args: argparse.Namespace, path: Path) -> None:
    """Make a backup of the hub that ``args`` names, and check it; ``path`` appears when it is whole."""
    if path.exists():
        raise Conflict(f"{path} is there already: name another file")
    target = find(args)
    with _complete(path) as (draft, file):
        with progress_bar("backing up", "MiB") as progress:
            if isinstance(target, Running):
                _download(target, file, progress)
            else:
                asyncio.run(_write(target.settings, file, progress))
        file.flush()
        os.fsync(file.fileno())
        check(draft)
    sys.stdout.write(f"{path}\n")


def scheduled(args: argparse.Namespace) -> int:
    """Make one in a folder, try to restore it when that is wanted, then delete all but the newest."""
    folder: Path = args.dir
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"llm-hub-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.backup"
    make(args, path)
    if args.verify:
        try:
            _try(path)
        except HubError:
            path.rename(path.with_suffix(".refused"))
            raise
    if args.keep is not None:
        made = sorted(one for one in folder.iterdir() if NAME.fullmatch(one.name))
        for old in made[: -args.keep]:
            old.unlink()
            sys.stdout.write(f"deleted {old}\n")
    return 0


def _try(path: Path) -> None:
    """Restore into a folder that is gone afterwards, in a process of its own: one process, one warehouse folder."""
    kept = {"LLM_HUB_BACKUP_PASSPHRASE"}
    environment = {name: value for name, value in os.environ.items() if name in kept or not name.startswith("LLM_HUB_")}
    with tempfile.TemporaryDirectory(prefix="llm-hub-trial-", dir=path.parent) as folder:
        command = [sys.executable, "-m", "hub", "restore", str(path.absolute()), "--data-dir", folder]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise HubError(f"{path} cannot be restored, older backups are kept: {done.stderr.strip()[-500:]}")
    sys.stdout.write(f"tried: {done.stdout.strip()}\n")


@contextmanager
def _complete(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A private file beside ``path``, which takes its name when all went well and is gone otherwise."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield draft, file
        draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)


def _download(target: Running, file: BinaryIO, progress: Progress) -> None:
    with HubClient(target) as hub, hub.download("/v1/admin/backup") as answer:
        add = _adding(file, progress, int(answer.headers.get("X-Expected-Bytes", "0")))
        for piece in answer.iter_raw(1 << 20):
            add(piece)


async def _write(settings: Settings, file: BinaryIO, progress: Progress) -> None:
    from contextlib import aclosing, nullcontext

    async with opened(settings) as stores:
        await there(stores)
        maker = Maker(stores, nullcontext)
        add = _adding(file, progress, await maker.expected_bytes())
        async with aclosing(maker.pieces()) as pieces:
            await _each(pieces, add)


async def _each(pieces: AsyncIterator[bytes], add: Callable[[bytes], None]) -> None:
    async for piece in pieces:
        add(piece)


def _adding(file: BinaryIO, progress: Progress, expected: int) -> Callable[[bytes], None]:
    done = 0

    def add(piece: bytes) -> None:
        nonlocal done
        file.write(piece)
        done += len(piece)
        progress(done // _MIB, min(0.99, done / max(1, expected)))

    return add
