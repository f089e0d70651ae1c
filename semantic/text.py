"""The little language of ``llm-hub query``: a question in one line.

::

    MEASURE[, MEASURE …] [by DIMENSION[, …]] [every 1m] [last 1h | from A [to B]]
    [where FIELD OP VALUE [and …]] [order by FIELD [asc|desc][, …]] [limit N] [compare] [in zone ZONE]

OP is ``=  !=  >  >=  <  <=  ~`` (regex) ``contains``, ``starts with``, ``in (A, B)``, ``not in (A, B)``, ``exists`` or
``not exists`` (after the field). Values with blanks or commas stand in quotes.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from pydantic import ValidationError

from core.errors import Unprocessable
from semantic.question import Question

_TOKEN = re.compile(r"""\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(>=|<=|!=|[=<>~,()])|([^\s,()=<>~!"']+))""")
_SYMBOLS: Final = {"=": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "~": "regex"}
_CLAUSES: Final = ("by", "every", "last", "from", "to", "where", "order", "limit", "compare", "in")


class _Word(str):
    """A word that was not in quotes: it may be a keyword."""

    __slots__ = ()


def parse_question(text: str) -> Question:
    """The question that a line of text asks.

    Raises
    ------
    Unprocessable
        Says where the line stops making sense, or which name is wrong and what the nearest right one is.

    Examples
    --------
    >>> question = parse_question("latency_p95, requests by model last 2h where environment = production limit 5")
    >>> question.measures, question.dimensions, question.time.start, question.limit
    (('latency_p95', 'requests'), ('model',), 'now-2h', 5)
    >>> question.filters[0].field, question.filters[0].op, question.filters[0].values
    ('environment', 'eq', ('production',))
    """
    parser = _Parser(_tokens(text))
    try:
        return Question.model_validate(parser.question())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Unprocessable(f"{where}: {first['msg']}", field=where) from None


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unprocessable(f"The question makes no sense at `{text[at : at + 20]}`.", field="question")
        quoted = match[1] if match[1] is not None else match[2]
        tokens.append(_Word(match[3] or match[4]) if quoted is None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
    return tokens


class _Parser:
    """Reads tokens from left to right; every clause once, in any order after the measures."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens, self._at = tokens, 0

    def question(self) -> dict[str, Any]:
        found: dict[str, Any] = {"measures": self._names("a measure")}
        clauses: dict[str, Callable[[], object]] = {
            "by": lambda: found.update(dimensions=self._names("a dimension")),
            "every": lambda: found.update(granularity=self._take("a width such as 1m")),
            "last": lambda: self._time(found)["time"].update({"from": f"now-{self._take('a duration such as 1h')}"}),
            "from": lambda: self._time(found)["time"].update({"from": self._take("a time")}),
            "to": lambda: self._time(found)["time"].update(to=self._take("a time")),
            "where": lambda: found.update(filters=self._filters()),
            "order": lambda: found.update(order=self._order()),
            "limit": lambda: found.update(limit=self._take("a number")),
            "compare": lambda: found.update(compare="previous_period"),
            "in": lambda: found.update(time_zone=self._zone()),
        }
        while (word := self._peek()) is not None:
            clause = clauses.get(word.lower()) if isinstance(word, _Word) else None
            if clause is None:
                raise self._lost(f"one of {', '.join(_CLAUSES)}")
            self._at += 1
            clause()
        return found

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, what: str) -> str:
        word = self._peek()
        if word is None or (isinstance(word, _Word) and word in (*_SYMBOLS, ",", "(", ")")):
            raise self._lost(what)
        self._at += 1
        return str(word)

    def _accept(self, *words: str) -> bool:
        ahead = self._tokens[self._at : self._at + len(words)]
        if len(ahead) < len(words) or not all(isinstance(word, _Word) for word in ahead):
            return False
        if [word.lower() for word in ahead] != list(words):
            return False
        self._at += len(words)
        return True

    def _lost(self, wanted: str) -> Unprocessable:
        word = self._peek()
        found = "ends" if word is None else f"has `{word[:40]}`"
        return Unprocessable(f"The question {found} where {wanted} should be.", field="question")

    def _names(self, what: str) -> list[str]:
        names = [self._take(what)]
        while self._accept(","):
            names.append(self._take(what))
        return names

    def _time(self, found: dict[str, Any]) -> dict[str, Any]:
        found.setdefault("time", {})
        return found

    def _zone(self) -> str:
        if not self._accept("zone"):
            raise self._lost("`zone`")
        return self._take("a time zone")

    def _order(self) -> list[dict[str, str]]:
        if not self._accept("by"):
            raise self._lost("`by`")
        order = [self._ordered()]
        while self._accept(","):
            order.append(self._ordered())
        return order

    def _ordered(self) -> dict[str, str]:
        field = self._take("a name")
        if self._accept("desc"):
            return {"field": field, "direction": "desc"}
        self._accept("asc")
        return {"field": field, "direction": "asc"}

    def _filters(self) -> list[dict[str, Any]]:
        filters = [self._filter()]
        while self._accept("and"):
            filters.append(self._filter())
        return filters

    def _filter(self) -> dict[str, Any]:
        field = self._take("a dimension")
        for words, op in ((("exists",), "exists"), (("not", "exists"), "not_exists")):
            if self._accept(*words):
                return {"field": field, "op": op}
        for words, op in ((("in",), "in"), (("not", "in"), "not_in")):
            if self._accept(*words):
                return {"field": field, "op": op, "values": self._list()}
        return {"field": field, "op": self._operator(), "values": [self._take("a value")]}

    def _operator(self) -> str:
        for symbol, op in _SYMBOLS.items():
            if self._accept(symbol):
                return op
        if self._accept("contains"):
            return "contains"
        if self._accept("starts", "with"):
            return "starts_with"
        raise self._lost("an operator (=, !=, >, >=, <, <=, ~, in, contains, starts with, exists)")

    def _list(self) -> list[str]:
        if not self._accept("("):
            return self._names("a value")
        values = self._names("a value")
        if not self._accept(")"):
            raise self._lost("`)`")
        return values
