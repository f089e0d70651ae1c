"""The hub's own keys in a backup: as they are, or sealed with a passphrase."""

import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from access.bootstrap import ADMIN_KEY_FILE
from access.files import create_private, read_private
from access.secrets import KEY_FILE, SecretBox
from core.errors import Conflict, Poison, SettingsError
from hub import wiring
from hub.settings import Settings

MEMBER: Final = "secrets.json"
_PURPOSE: Final = "backup"


def packed(settings: Settings) -> bytes:
    """The hub's own keys: that of its data, and the first one of its callers where it is still in its file."""
    files = {name: read_private(settings.folder / name) for name in (KEY_FILE, ADMIN_KEY_FILE)}
    files[KEY_FILE] = wiring.access_config(settings).data_key or files[KEY_FILE]
    plain = orjson.dumps({name: b64encode(body).decode() for name, body in files.items() if body is not None})
    passphrase = settings.backup_passphrase.get_secret_value()
    if not passphrase:
        return orjson.dumps({"sealed": False, "files": plain.decode()})
    salt = os.urandom(16)
    sealed = _box(passphrase, salt).seal(plain, _PURPOSE)
    return orjson.dumps({"sealed": True, "salt": b64encode(salt).decode(), "files": b64encode(sealed).decode()})


def opened(content: bytes, settings: Settings) -> dict[str, bytes]:
    """File → its content.

    Raises
    ------
    SettingsError
        They are sealed, and the passphrase is missing or another one; or the hub is told to use another data key.
    """
    told: dict[str, Any] = orjson.loads(content)
    plain = told["files"].encode()
    if told["sealed"]:
        passphrase = settings.backup_passphrase.get_secret_value()
        if not passphrase:
            raise SettingsError("The keys in this backup are sealed: set LLM_HUB_BACKUP_PASSPHRASE to its passphrase.")
        try:
            plain = _box(passphrase, b64decode(told["salt"])).open(b64decode(told["files"]), _PURPOSE)
        except Poison:
            raise SettingsError("LLM_HUB_BACKUP_PASSPHRASE is not the one that this backup was made with.") from None
    files = {name: b64decode(body) for name, body in orjson.loads(plain).items()}
    given = wiring.access_config(settings).data_key
    if given is not None and files.pop(KEY_FILE, given) != given:
        raise SettingsError(
            "LLM_HUB_DATA_KEY is not the data key of this backup. Restore without that setting, and set it to the "
            f"hex digits of what is then in {settings.folder / KEY_FILE}."
        )
    return files


def put_back(files: dict[str, bytes], folder: Path) -> None:
    """Write the files; raises :class:`Conflict` where there is the data key of another hub."""
    content, path = files.get(KEY_FILE), folder / KEY_FILE
    if content is not None and not create_private(path, content) and read_private(path) != content:
        raise Conflict(f"{path} belongs to another hub: restore into an empty folder (--data-dir), or move it away.")
    if ADMIN_KEY_FILE in files:
        (folder / ADMIN_KEY_FILE).unlink(missing_ok=True)  # of a first start: its key is not known any more
        create_private(folder / ADMIN_KEY_FILE, files[ADMIN_KEY_FILE])


def _box(passphrase: str, salt: bytes) -> SecretBox:
    return SecretBox(Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode()))
