"""Taking secrets and personal data out of texts, a whole column at a time, before anything is written."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import orjson
import polars as pl

from access.tenant_settings import Redaction, RedactionKind
from ingest.patterns import CARD, CARD_ROUGH, IBAN, IBAN_ROUGH, PERSONAL, SECRETS, Pattern, is_card, is_iban

_Proof = Callable[[str], bool]


@lru_cache(maxsize=256)
def redactor(config: Redaction) -> "Redactor":
    """The redactor of a configuration; tenants with the same wishes share one."""
    return Redactor(config)


class Redactor:
    """Takes out what a configuration names.

    Parameters
    ----------
    config
        A tenant's wishes. ``mode`` is up to the caller: this one redacts whatever it is given.
    """

    def __init__(self, config: Redaction) -> None:
        kinds = config.kinds
        self._patterns: list[Pattern] = [*SECRETS] if RedactionKind.SECRETS in kinds else []
        self._patterns += [pattern for name, pattern in PERSONAL.items() if RedactionKind(name) in kinds]
        self._proved: list[tuple[str, str, re.Pattern[str], _Proof]] = []
        if RedactionKind.CREDIT_CARD in kinds:
            self._proved.append(("credit_card", CARD_ROUGH, CARD, is_card))
        if RedactionKind.IBAN in kinds:
            self._proved.append(("iban", IBAN_ROUGH, IBAN, is_iban))
        self._own = [(pattern.name, pattern.pattern) for pattern in config.patterns]
        rough = [*(pattern.rough for pattern in self._patterns), *(proved[1] for proved in self._proved)]
        self._any = "|".join(f"(?:{one})" for one in rough)

    def json(self, texts: pl.Series) -> tuple[pl.Series, int]:
        """Redact a column of JSON texts, which stay JSON, and say how many were changed."""
        if not self._own and (not self._any or not texts.str.contains(self._any).any()):
            return texts, 0  # mostly so: one look spares one at each pattern
        before = texts
        texts = self._proved_in_json(texts)  # first: a phone's pattern would take part of a card's number
        for pattern in self._patterns:
            texts = _replace(texts, pattern)
        if self._own:
            texts = _decoded(texts, texts.is_not_null(), self._own_text)
        return texts, _changed(before, texts)

    def plain(self, texts: pl.Series) -> tuple[pl.Series, int]:
        """Redact a column of plain texts."""
        quoted = texts.map_elements(lambda text: orjson.dumps(text).decode(), pl.String)
        redacted, count = self.json(quoted)
        return (redacted.map_elements(orjson.loads, pl.String) if count else texts), count

    def _proved_in_json(self, texts: pl.Series) -> pl.Series:
        for name, rough, exact, proof in self._proved:
            rows = texts.str.contains(rough)
            if rows.any():
                texts = _decoded(texts, rows.fill_null(False), _proved_text(name, exact, proof))
        return texts

    def _own_text(self, text: str) -> str:
        series = pl.Series([text])
        for name, pattern in self._own:
            series = series.str.replace_all(pattern, f"[redacted:{name}]")
        result: str = series.item()
        return result


def _replace(texts: pl.Series, pattern: Pattern) -> pl.Series:
    likely = texts.str.contains(pattern.rough)
    if not likely.any():
        return texts
    likely = likely.fill_null(False)
    before = texts.filter(likely)
    after = before.str.replace_all(pattern.regex, f"${{1}}[redacted:{pattern.name}]")
    whole = [_still_json(*pair, pattern) for pair in zip(before, after, strict=True)]
    return texts.clone().scatter(likely.arg_true(), pl.Series(whole, dtype=pl.String))  # scatter works in place


def _still_json(before: str, after: str, pattern: Pattern) -> str:
    """``after``; but where the pattern took half an escape (behind a backslash that was escaped) it is put right."""
    if after == before or _is_json(after) or not _is_json(before):
        return after
    put = rf"\1[redacted:{pattern.name}]"
    return _walked(before, lambda text: re.sub(pattern.regex, put, text))


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _proved_text(name: str, exact: re.Pattern[str], proof: _Proof) -> Callable[[str], str]:
    def put(match: re.Match[str]) -> str:
        return f"[redacted:{name}]" if proof(match[0]) else match[0]

    return lambda text: exact.sub(put, text)


def _decoded(texts: pl.Series, rows: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Change the texts inside some rows' JSON; few rows come here, and each is parsed."""
    places = rows.arg_true()
    changed = [_walked(text, change) for text in texts.gather(places)]
    return texts.clone().scatter(places, pl.Series(changed, dtype=pl.String))


def _walked(text: str, change: Callable[[str], str]) -> str:
    try:
        value = orjson.loads(text)
        return orjson.dumps(_walk(value, change), option=orjson.OPT_SORT_KEYS).decode()
    except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
        return change(text)  # the bytes of a broken row: no JSON to keep whole


def _walk(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {change(key): _walk(item, change) for key, item in value.items()}
        case list():
            return [_walk(item, change) for item in value]
        case int() if not isinstance(value, bool) and change(str(value)) != str(value):
            return change(str(value))
    return value


def _changed(before: pl.Series, after: pl.Series) -> int:
    return 0 if after is before else int((before != after).sum())
