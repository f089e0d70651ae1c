"""What is taken out, and what is not."""

import json

import orjson
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from access.tenant_settings import Redaction, RedactionKind, RedactionPattern
from ingest.patterns import PERSONAL, SECRETS
from ingest.redact import Redactor

REDACT = Redactor(Redaction(kinds=frozenset(RedactionKind)))


def redacted(text: str, redactor: Redactor = REDACT) -> str:
    """``text`` as one message of a body, and what is left of it."""
    out, _ = redactor.json(pl.Series([orjson.dumps({"query": text}).decode()]))
    return json.loads(out[0])["query"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail bob.smith+x@mail.example.com now", "mail [redacted:email] now"),
        ("line\nbob@example.com", "line\n[redacted:email]"),
        ("a@b.co c@d.co", "[redacted:email] [redacted:email]"),
        ("path\\\nbob@example.com", "path\\\n[redacted:email]"),
        ("é\x01bob@example.com", "é\x01[redacted:email]"),
        ("call +49 170 1234567 today", "call [redacted:phone] today"),
        ("call (415) 555-2671.", "call [redacted:phone]."),
        ("ssn 078-05-1120", "ssn [redacted:ssn]"),
        ("card 4111 1111 1111 1111!", "card [redacted:credit_card]!"),
        ("pay DE89 3704 0044 0532 0130 00.", "pay [redacted:iban]."),
        ("from 192.168.1.17:80", "from [redacted:ip]:80"),
        ("key sk-proj-abcdefghijklmnop1234", "key [redacted:api_key]"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "[redacted:api_key]"),
        ("id AKIAIOSFODNN7EXAMPLE.", "id [redacted:aws_key]."),
        ("Authorization: Bearer abcdefghijklmnop.qrstuv", "Authorization: Bearer [redacted:token]"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "[redacted:jwt]"),
        ('{"password": "correct horse"}', '{"password": "[redacted:secret] horse"}'),
        ("postgres://me:hunter22@db/x", "postgres://me:[redacted:password]db/x"),
        (
            "-----BEGIN RSA PRIVATE KEY-----\nMIIB\nabc=\n-----END RSA PRIVATE KEY----- end",
            "[redacted:private_key] end",
        ),
    ],
)
def test_what_is_taken_out(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T12:00:00.123Z",
        "order 1234567890123456",
        "version 1.2.3, 10.5 ms, 3.14159",
        "0192f0c1-0000-7000-8000-000000000001",
        "bearer of bad news",
        "user@host and @mention",
        "tokens: 812, total_tokens=900",
        "GB00 is a country",
        "task-list is-ok disk-usage",
        "the key is under the mat",
    ],
)
def test_what_is_left_alone(text: str) -> None:
    assert redacted(text) == text


def test_a_card_that_is_a_number_is_found_too() -> None:
    out, count = REDACT.json(pl.Series(['{"result":{"n":4111111111111111,"ok":true,"x":1}}', None]))
    assert json.loads(out[0]) == {"result": {"n": "[redacted:credit_card]", "ok": True, "x": 1}}
    assert (out[1], count) == (None, 1)


def test_only_the_kinds_asked_for() -> None:
    only = Redactor(Redaction(kinds=frozenset({RedactionKind.EMAIL})))
    assert redacted("a@b.co 078-05-1120", only) == "[redacted:email] 078-05-1120"


def test_a_tenants_own_patterns_see_the_text_itself() -> None:
    own = Redaction(kinds=frozenset(), patterns=(RedactionPattern(name="ticket", pattern="^T-[0-9]+$"),))
    assert redacted("T-17", Redactor(own)) == "[redacted:ticket]"
    assert redacted("no T-17", Redactor(own)) == "no T-17"


def test_plain_texts() -> None:
    out, count = REDACT.plain(pl.Series(["a@b.co", 'say "hi"', None]))
    assert out.to_list() == ["[redacted:email]", 'say "hi"', None]
    assert count == 1


PIECES = st.sampled_from(
    [
        "a@b.co",
        "\n",
        "\\",
        '"',
        "é",
        "\x00",
        "+49 170 1234567",
        "4111111111111111",
        "Bearer ",
        "eyJabcdefgh.",
        "sk-" + "a" * 20,
        " ",
    ]
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=8).map("".join))
def test_json_stays_json(text: str) -> None:
    assert redacted(f"{text} card 4111111111111111 ").endswith("card [redacted:credit_card] ")


@settings(deadline=None, max_examples=150)
@given(st.lists(st.one_of(PIECES, st.text("aAé-_.@+ 0123456789", max_size=6)), max_size=8).map("".join))
def test_the_rough_pattern_misses_nothing(text: str) -> None:
    texts = pl.Series([text, f'{{"query":"{text}"}}'])
    for pattern in (*SECRETS, *PERSONAL.values()):
        exact, rough = texts.str.contains(pattern.regex), texts.str.contains(pattern.rough)
        assert (rough | ~exact).all(), pattern.name
