"""Encryption of what must not lie about readable: dead letters, the secrets of alert channels."""

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from access.files import create_private, read_private
from core.errors import Poison, SettingsError

KEY_FILE = "data.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = b"\x01"


def load_data_key(data_dir: Path) -> bytes:
    """The hub's own key in ``DATA_DIR/data.key`` (mode 0600), made on the first start.

    Whoever backs up the data folder needs it too: without it dead letters and channel secrets are lost.
    """
    path = data_dir / KEY_FILE
    content = read_private(path)
    if content is None:
        create_private(path, os.urandom(_KEY_BYTES))
        content = read_private(path)
    if content is None or len(content) != _KEY_BYTES:
        raise SettingsError(f"{path} must hold exactly {_KEY_BYTES} bytes; restore it from a backup.")
    return content


class SecretBox:
    """AES-256-GCM under keys derived from the data key, one for each purpose. Thread-safe.

    Parameters
    ----------
    key
        32 random bytes (:func:`load_data_key`).
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise SettingsError(f"The data key must be {_KEY_BYTES} bytes.")
        self._key = key
        self._ciphers: dict[str, AESGCM] = {}

    def __repr__(self) -> str:
        return "SecretBox(…)"

    def derive(self, purpose: str) -> bytes:
        """A key of its own for a purpose, the same at every start."""
        info = b"llm-hub:" + purpose.encode()
        return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info).derive(self._key)

    def seal(self, plain: bytes, purpose: str, context: bytes = b"") -> bytes:
        """Encrypt; ``context`` (a tenant, a row's id) must be given again to :meth:`open`."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher(purpose).encrypt(nonce, plain, context)

    def open(self, sealed: bytes, purpose: str, context: bytes = b"") -> bytes:
        """Decrypt what :meth:`seal` gave; raises :class:`Poison`."""
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            raise Poison("This was not sealed by the hub.")
        try:
            return self._cipher(purpose).decrypt(nonce, body, context)
        except InvalidTag as error:
            raise Poison("Sealed with another data key or for something else, or damaged.") from error

    def _cipher(self, purpose: str) -> AESGCM:
        cipher = self._ciphers.get(purpose)
        if cipher is None:
            cipher = self._ciphers[purpose] = AESGCM(self.derive(purpose))
        return cipher
