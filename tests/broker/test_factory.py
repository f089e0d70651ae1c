"""Broker URLs."""

from pathlib import Path

import pytest

from broker.embedded.log import SqliteLog
from broker.factory import faust_broker_url, faust_credentials, open_log
from core.clock import SystemClock
from core.errors import SettingsError


def test_sqlite_urls_count_slashes_as_sqlalchemy_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    absolute = open_log(f"sqlite:///{tmp_path}/a.db", clock=SystemClock())
    relative = open_log("sqlite:///b.db", clock=SystemClock())
    assert isinstance(absolute, SqliteLog)
    assert isinstance(relative, SqliteLog)
    assert absolute.path == tmp_path.resolve() / "a.db"
    assert relative.path == tmp_path.resolve() / "b.db"


@pytest.mark.parametrize(
    "url",
    ["", "log.db", "sqlite://", "sqlite:///", "sqlite:////", "sqlite://host/x", "redis://x", "kafka://", "kafka://a:b",
     "kafka://a:1/topic", "kafka://:9092", "kafka://a:99999", "kafka://user@a:1", "kafka://u:secret@a?securty=ssl", "sqlite:///x.db?mode=ro"],
)  # fmt: skip
def test_wrong_urls_are_named(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        open_log(url, clock=SystemClock())
    assert "secret" not in str(caught.value)
    with pytest.raises(SettingsError):
        faust_broker_url(url)


def test_what_faust_is_told() -> None:
    assert faust_broker_url("kafka://u:p@one:1,[::1]:3?mechanism=PLAIN") == "kafka://one:1;kafka://[::1]:3"
    assert faust_credentials("kafka://one") is None
    assert faust_credentials("sqlite:///log.db") is None
    told = faust_credentials("kafka://u:p@one?security=sasl_plaintext&mechanism=plain")
    assert (told.protocol.value, told.mechanism.value) == ("SASL_PLAINTEXT", "PLAIN")
    assert (told.username, told.password, told.ssl_context) == ("u", "p", None)
    assert faust_credentials("kafka://u:p@one").protocol.value == "SASL_SSL"
    assert faust_credentials("kafka://one?security=ssl").protocol.value == "SSL"
    assert faust_broker_url("kafka://one:1,two") == "kafka://one:1;kafka://two:9092"
    assert faust_broker_url("sqlite:////var/log.db") == "sqlite:////var/log.db"
