"""What a Kafka URL says, and that no message of ours repeats a password."""

from pathlib import Path

import pytest

from broker.kafka_address import KafkaAddress, parse_address
from core.errors import SettingsError


def test_brokers_and_their_ports() -> None:
    assert parse_address("kafka://one:1,two,[::1]:3/").servers == ("one:1", "two:9092", "[::1]:3")
    assert parse_address("kafka://a").options() == {"bootstrap_servers": ["a:9092"]}


def test_a_user_means_sasl_over_tls() -> None:
    address = parse_address("kafka://hub:p%40s%3As@a:1,b:2")
    options = address.options()
    assert (address.user, address.password, address.security) == ("hub", "p@s:s", "sasl_ssl")
    assert options.pop("ssl_context").check_hostname
    assert options == {
        "bootstrap_servers": ["a:1", "b:2"],
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "hub",
        "sasl_plain_password": "p@s:s",
    }


def test_what_is_said_wins() -> None:
    options = parse_address("kafka://u:p@a?security=SASL_PLAINTEXT&mechanism=plain").options()
    assert (options["security_protocol"], options["sasl_mechanism"]) == ("SASL_PLAINTEXT", "PLAIN")
    assert options["ssl_context"] is None


def test_a_certificate_means_tls(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    address = parse_address(f"kafka://a?ca={tmp_path}/ca.pem")
    assert address.security == "ssl"
    with pytest.raises(SettingsError, match=r"ca\.pem.*cannot be read"):
        address.options()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("kafka://u:secret@", "must be kafka://"),
        ("http://a", "must be kafka://"),
        ("kafka://a b", "must be kafka://"),
        ("kafka://u:secret@a/topic", "must be kafka://"),
        ("kafka://u:secret@a:nine", "no host:port"),
        ("kafka://u:secret@a?securty=ssl", "does not know securty; it may have security"),
        ("kafka://u:secret@a?security=ssl&security=ssl", "twice"),
        ("kafka://u:secret@a?security", "cannot be read"),
        ("kafka://u:secret@a?security=tls", "one of plaintext, ssl"),
        ("kafka://u:secret@a?mechanism=GSSAPI", "one of PLAIN"),
        ("kafka://u:secret@a?security=ssl", "no use for a user"),
        ("kafka://u@a", "needs user and password"),
        ("kafka://a?security=sasl_ssl", "needs user and password"),
        ("kafka://a?security=plaintext&ca=x.pem", "no use for certificates"),
        ("kafka://a?cert=x.pem", "only together"),
        ("kafka://a?ca=nowhere.pem", r"no file nowhere\.pem"),
    ],
)
def test_wrong_addresses_say_why(url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as caught:
        parse_address(url)
    assert "secret" not in str(caught.value)


def test_no_password_is_shown() -> None:
    assert "secret" not in repr(KafkaAddress(("a:1",), "sasl_ssl", "PLAIN", "u", "secret"))
