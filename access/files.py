"""Files that only their owner may read: written whole or not at all, and never over another."""

import os
import stat
from pathlib import Path

from core.errors import SettingsError


def create_private(path: Path, content: bytes) -> bool:
    """Write a new file of mode 0600, durably; ``False`` (and nothing touched) when there is one already.

    The content is complete before the name appears, so that of two processes that start at once one wins and
    the other reads a whole file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(6).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def read_private(path: Path) -> bytes | None:
    """A private file's content; ``None`` when there is none.

    Raises
    ------
    SettingsError
        It is no plain file, or others than its owner may read or write it.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}); it must be a plain file.") from error
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise SettingsError(f"{path} must be a plain file of mode 0600; run: chmod 600 {path}")
        return file.read()
