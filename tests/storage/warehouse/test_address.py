"""The forms of the warehouse URL."""

from pathlib import Path

import pytest

from core.errors import SettingsError
from storage.warehouse.address import Folder, Host, Server, parse_address


@pytest.mark.parametrize("url", ["chdb:////var/hub", "chdb:///var/hub"])
def test_absolute_folder(url: str) -> None:
    assert parse_address(url) == Folder(Path("/var/hub"))


def test_relative_folder_and_database() -> None:
    assert parse_address("chdb://data/hub?database=one") == Folder(Path("data/hub").absolute(), "one")


def test_server_with_everything() -> None:
    address = parse_address("clickhouses://me:p%40ss@db.example:9443/events")
    assert address == Server((Host("db.example", 9443),), "events", "me", "p@ss", secure=True)
    assert "p@ss" not in repr(address)


@pytest.mark.parametrize(("url", "port"), [("clickhouse://h", 8123), ("clickhouses://h", 8443)])
def test_server_ports(url: str, port: int) -> None:
    address = parse_address(url)
    assert isinstance(address, Server)
    assert (address.hosts, address.database, address.user) == ((Host("h", port),), "default", "default")


def test_several_hosts_share_what_stands_before_and_behind_them() -> None:
    address = parse_address("clickhouses://me:x@a,[::1]:9,c:9443/events?ca=/etc/ca.pem&verify=false")
    assert isinstance(address, Server)
    assert address.hosts == (Host("a", 8443), Host("::1", 9), Host("c", 9443))
    assert (address.database, address.ca, address.verify) == ("events", "/etc/ca.pem", False)


@pytest.mark.parametrize(
    "url",
    [
        "clickhouse://me:secret@a,,b/db",
        "clickhouse://me:secret@a/db?ca=x",
        "clickhouses://me:secret@a/db?verify=perhaps",
        "clickhouses://me:secret@a/db?compress=1",
        "postgres://me:secret@h/db",
        "chdb://",
        "chdb:///",
        "clickhouse:///db",
        "clickhouse://me:secret@h:port/db",
        "clickhouse://me:secret@h/a`b",
    ],
)
def test_wrong_urls_are_refused_without_repeating_secrets(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_address(url)
    assert "secret" not in caught.value.detail
