"""What secrets and personal data look like inside JSON text.

The patterns run over JSON text, where a line break is ``\\n``: each starts with a group that takes an escape or a
character that is no part of a word, which is put back, so that the text stays JSON. They are written in the common
part of Rust's and Python's syntax.
"""

import re
from dataclasses import dataclass
from typing import Final

_BEFORE: Final = r"(^|\\u[0-9a-fA-F]{4}|\\.|[^\w\\])"


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of finding.

    Parameters
    ----------
    name
        What is written in its place: ``[redacted:NAME]``.
    regex
        The pattern; its first group is kept.
    """

    name: str
    regex: str

    @property
    def rough(self) -> str:
        """Matches every text that the pattern matches, some more, and fifty times as quickly.

        Where a text is not ASCII the engine cannot ask for borders of words without leaving its automaton.
        """
        return self.regex.removeprefix(_BEFORE).replace(r"\b", "")


def _word(name: str, regex: str) -> Pattern:
    return Pattern(name, _BEFORE + regex)


SECRETS: Final[tuple[Pattern, ...]] = (
    Pattern(
        "private_key",
        r'()-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[^"]*?-----END [A-Z ]*PRIVATE KEY-----'
        r"|(?:[A-Za-z0-9+/=:,. \s]|\\[nrt])*)",
    ),
    _word("aws_key", r"(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{16}\b"),
    _word("jwt", r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    _word(
        "api_key",
        r"(?:sk-[A-Za-z0-9_-]{16,}|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{20,}"
        r"|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abeoprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{30,}"
        r"|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}|lh_[A-Za-z0-9_.-]{16,})",
    ),
    Pattern("token", r"(\b(?i:bearer|basic)(?:[ \t]|\\[nrt])+)[A-Za-z0-9._~+/-]{16,}=*"),
    Pattern(
        "secret",
        r"((?i:api[_-]?key|passw(?:or)?d|passwd|client[_-]?secret|secret[_-]?access[_-]?key|access[_-]?token"
        r'|auth[_-]?token)(?:\\?["\'])?[ \t]{0,3}[:=][ \t]{0,3}(?:\\?["\'])?)[^\s"\'\\,;{}\[\]]{6,}',
    ),
    Pattern("password", r"([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@\"\\]{1,100}:)[^\s@/\"\\]{1,200}@"),
)  # fmt: skip

PERSONAL: Final[dict[str, Pattern]] = {
    "email": _word("email", r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b"),
    "phone": _word(
        "phone",
        r"(?:\+[1-9][0-9]{0,2}(?:[ ./-]?\(?[0-9]{1,5}\)?){2,6}|\(?[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4})\b",
    ),
    "ssn": _word("ssn", r"[0-9]{3}-[0-9]{2}-[0-9]{4}\b"),
    "ip": _word("ip", r"(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b"),
}

#: Found by a rough pattern, then proved by their check digits.
CARD: Final = re.compile(r"(?<![\w.])[0-9](?:[ -]?[0-9]){12,18}(?![\w.])")
IBAN: Final = re.compile(r"(?<!\w)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
CARD_ROUGH: Final = r"[0-9](?:[ -]?[0-9]){12}"
IBAN_ROUGH: Final = r"[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2}"


def is_card(text: str) -> bool:
    """Luhn's check digit.

    Examples
    --------
    >>> is_card("4111 1111 1111 1111"), is_card("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def is_iban(text: str) -> bool:
    """The check digits of ISO 13616.

    Examples
    --------
    >>> is_iban("DE89 3704 0044 0532 0130 00")
    True
    """
    plain = text.replace(" ", "")
    return int("".join(str(int(character, 36)) for character in plain[4:] + plain[:4])) % 97 == 1
