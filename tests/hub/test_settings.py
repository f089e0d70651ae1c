"""Settings: where they come from, and what a wrong one says."""

from pathlib import Path

import pytest

from core.errors import SettingsError
from hub.settings import Settings, load
from hub.wiring import access_config, bridge_config, kafka_config, streams_config, topics


def test_defaults_live_in_the_data_folder(tmp_path: Path) -> None:
    settings = load({"data_dir": tmp_path}, environ={})
    assert settings.broker_url == f"sqlite:///{tmp_path}/log.db"
    assert settings.warehouse_url == f"chdb:///{tmp_path}/warehouse"
    assert settings.database_url == f"sqlite:///{tmp_path}/hub.db"
    assert settings.host == "127.0.0.1"


def test_command_line_beats_environment_beats_file(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text("port = 1\nhost = '127.0.0.2'\npartitions = 3\n")
    environ = {"LLM_HUB_CONFIG": str(file), "LLM_HUB_PORT": "2", "LLM_HUB_HOST": "127.0.0.3"}
    settings = load({"host": "127.0.0.4", "port": None}, environ=environ)
    assert (settings.host, settings.port, settings.partitions) == ("127.0.0.4", 2, 3)


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"LLM_HUB_BROKR_URL": "x"}, ["LLM_HUB_BROKR_URL", "did you mean 'broker_url'"]),
        ({"LLM_HUB_PORT": "many"}, ["LLM_HUB_PORT", "integer"]),
        ({"LLM_HUB_PORT": "70000"}, ["LLM_HUB_PORT", "65535"]),
        ({"LLM_HUB_LOG_LEVEL": "loud"}, ["LLM_HUB_LOG_LEVEL", "warning"]),
        ({"LLM_HUB_CONFIG": "/nowhere/hub.toml"}, ["LLM_HUB_CONFIG", "/nowhere/hub.toml"]),
        ({"LLM_HUB_REGION": "EU"}, ["LLM_HUB_REGION", "small letters"]),
        ({"LLM_HUB_REGION": "eu", "LLM_HUB_MIRRORS": "us"}, ["mirrors need a broker_url of Kafka"]),
        ({"LLM_HUB_MIRRORS": "us", "LLM_HUB_BROKER_URL": "kafka://a"}, ["mirrors need a region"]),
        (
            {"LLM_HUB_REGION": "us", "LLM_HUB_MIRRORS": "us", "LLM_HUB_BROKER_URL": "kafka://a"},
            ["mirrors are other regions", "'us'"],
        ),
    ],
)
def test_a_wrong_setting_is_named(environ: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ=environ)
    assert all(word in caught.value.detail for word in words)


def test_the_values_of_secrets_are_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={"LLM_HUB_PARTITIONS": "hunter2"})
    assert "hunter2" not in caught.value.detail


def test_broken_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text("port = = 1")
    with pytest.raises(SettingsError, match=r"hub\.toml"):
        load(environ={"LLM_HUB_CONFIG": str(file)})


def test_names_of_clients_and_tests_are_left_alone() -> None:
    environ = {
        "LLM_HUB_URL": "http://x",
        "LLM_HUB_KEY": "lh_x",
        "LLM_HUB_BENCH_DATA": "/d",
        "LLM_HUB_TEST_KAFKA": "h:1",
    }
    assert load(environ=environ).port == Settings().port


def test_every_setting_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_the_bridge_needs_brokers_and_topics() -> None:
    with pytest.raises(SettingsError, match="bridge_url and bridge_topics"):
        load(environ={"LLM_HUB_BRIDGE_URL": "kafka://h:1"})
    with pytest.raises(SettingsError, match="BRIDGE_TOPICS"):
        load(environ={"LLM_HUB_BRIDGE_URL": "kafka://h:1", "LLM_HUB_BRIDGE_TOPICS": "acme=hub.events"})
    with pytest.raises(SettingsError, match="security must be one of") as caught:
        load(environ={"LLM_HUB_BRIDGE_URL": "kafka://u:hunter2@h?security=x", "LLM_HUB_BRIDGE_TOPICS": "a"})
    assert "hunter2" not in str(caught.value)
    both = load(environ={"LLM_HUB_BRIDGE_URL": "kafka://h:1", "LLM_HUB_BRIDGE_TOPICS": "acme=a, b"})
    config = bridge_config(both)
    assert (config.address.servers, config.topics) == (("h:1",), {"a": "acme", "b": "default"})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("admin_key", "lh_" + "ab" * 8 + "_" + "cd" * 32, "lh_too-short-secret"),
        ("metrics_key", "m" * 32, "short-secret"),
    ],
)
def test_given_keys_have_a_form_and_are_never_shown(name: str, good: str, bad: str) -> None:
    settings = load(environ={f"LLM_HUB_{name.upper()}": good + "\n"})
    assert good not in repr(settings) + settings.model_dump_json()
    assert getattr(access_config(settings), name) == good
    with pytest.raises(SettingsError, match=name) as error:
        load(environ={f"LLM_HUB_{name.upper()}": bad})
    assert bad not in str(error.value)


def test_copies_on_kafka() -> None:
    assert [
        kafka_config(load(environ=environ)).replication for environ in ({}, {"LLM_HUB_KAFKA_REPLICATION": "3"})
    ] == [-1, 3]
    with pytest.raises(SettingsError, match="-1 or"):
        load(environ={"LLM_HUB_KAFKA_REPLICATION": "0"})


def test_the_data_key_is_never_shown() -> None:
    key = "ab" * 32
    settings = load(environ={"LLM_HUB_DATA_KEY": key})
    assert key not in repr(settings) + settings.model_dump_json()
    assert access_config(settings).data_key == bytes.fromhex(key)
    with pytest.raises(SettingsError, match="64 hex digits") as error:
        load(environ={"LLM_HUB_DATA_KEY": "not-hex-secret"})
    assert "not-hex-secret" not in str(error.value)


def test_mirrors_are_read_beside_the_hubs_own_events() -> None:
    environ = {"LLM_HUB_REGION": "us", "LLM_HUB_MIRRORS": "eu, ap-1", "LLM_HUB_BROKER_URL": "kafka://a"}
    settings = load(environ=environ)
    assert streams_config(settings, 4).topics == ("hub.events", "eu.hub.events", "ap-1.hub.events")
    sizes = {topic.name: topic.partitions for topic in topics(settings)}
    assert sizes["eu.hub.events"] == sizes["hub.events"] == settings.partitions
