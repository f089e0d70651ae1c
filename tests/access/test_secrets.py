"""Sealing and opening, and the files that only their owner may read."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.files import create_private, read_private
from access.secrets import SecretBox, load_data_key
from core.errors import Poison, SettingsError

BOX = SecretBox(b"k" * 32)


@given(st.binary(max_size=1000), st.text(max_size=20), st.binary(max_size=20))
def test_what_is_sealed_opens_again(plain: bytes, purpose: str, context: bytes) -> None:
    sealed = BOX.seal(plain, purpose, context)
    assert BOX.open(sealed, purpose, context) == plain
    assert BOX.seal(plain, purpose, context) != sealed


@given(st.binary(max_size=60))
def test_anything_else_is_refused(sealed: bytes) -> None:
    with pytest.raises(Poison):
        BOX.open(sealed, "p")


def test_another_purpose_context_or_key_opens_nothing() -> None:
    sealed = BOX.seal(b"secret", "p", b"tenant")
    for box, purpose, context in ((BOX, "q", b"tenant"), (BOX, "p", b"other"), (SecretBox(b"x" * 32), "p", b"tenant")):
        with pytest.raises(Poison):
            box.open(sealed, purpose, context)


def test_the_data_key_is_made_once(tmp_path: Path) -> None:
    key = load_data_key(tmp_path / "new")
    assert load_data_key(tmp_path / "new") == key
    assert stat.S_IMODE((tmp_path / "new" / "data.key").stat().st_mode) == 0o600


def test_a_damaged_or_readable_data_key_stops_the_start(tmp_path: Path) -> None:
    load_data_key(tmp_path)
    (tmp_path / "data.key").write_bytes(b"short")
    with pytest.raises(SettingsError, match="32 bytes"):
        load_data_key(tmp_path)
    (tmp_path / "data.key").chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        load_data_key(tmp_path)
    with pytest.raises(SettingsError):
        SecretBox(b"short")


def test_a_private_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert read_private(path) is None
    assert create_private(path, b"one")
    assert not create_private(path, b"two")
    assert read_private(path) == b"one"
    assert [found.name for found in tmp_path.iterdir()] == ["file"]
