"""SQLite's errors in the words of the hub."""

import shutil
import sqlite3
from pathlib import Path

from core.errors import HubError, Retryable, SettingsError, SlowDown, TooLarge

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
#: Below this a failed write is taken for a full disk, whatever the error says (shared memory, truncation).
_NEARLY_FULL = 16 << 20


def opening_error(error: sqlite3.Error | SettingsError, path: Path) -> SettingsError:
    """Why the log cannot be opened, and what to do."""
    if isinstance(error, SettingsError):
        return error
    if _code(error) in _DAMAGED:
        return SettingsError(
            f"The log {path} is damaged or no SQLite file ({error}); restore it from a backup, or move it away to "
            "start with an empty log."
        )
    return SettingsError(f"The log {path} cannot be opened ({error}); check the folder, its owner and the disk.")


def running_error(error: sqlite3.Error, path: Path) -> HubError:
    """What a failed transaction or read means for the caller."""
    code = _code(error)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _nearly_full(path)):
        return SlowDown(f"The disk or the size limit of the log {path} is full; nothing was kept.", retry_after=5)
    if code in _BUSY:
        return SlowDown(f"Another process is writing to the log {path}; nothing was kept.", retry_after=1)
    if code == sqlite3.SQLITE_TOOBIG:
        return TooLarge(f"A record is larger than the log can hold ({error}).")
    if code in _DAMAGED:
        return Retryable(f"The log {path} is damaged ({error}); stop the hub and restore it from a backup.")
    return Retryable(f"The log {path} cannot be written or read now ({error}).")


def _code(error: sqlite3.Error) -> int:
    """The primary result code; errors that the module raises by itself have none."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _nearly_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _NEARLY_FULL
    except OSError:
        return False
