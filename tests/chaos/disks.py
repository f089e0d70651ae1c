"""A disk that can be full: a file system in memory of a few megabytes."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Disk:
    """A file system of its own."""

    folder: Path

    def fill(self) -> None:
        """Leave no room at all."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (1 << 20, 4096):
                with suppress(OSError):  # until there is no room for one more
                    while True:
                        file.write(bytes(size))

    def free(self) -> None:
        """Make room."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Mount one at ``folder``; skips where that is not allowed."""
    folder.mkdir()
    options = f"size={megabytes}m"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "chaos", folder], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"may not mount a file system of its own: {made.stderr.decode().strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
