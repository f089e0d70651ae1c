"""Trees of spans: whatever ids and times they have, every span is shown once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from semantic.spans import MAX_DEPTH, Span, costs, tree

START = datetime(2026, 11, 20, tzinfo=UTC)


def span(number: int, span_id: str | None, parent: str | None, cost: float | None = None) -> Span:
    start = START + timedelta(milliseconds=number)
    return Span(span_id, parent, f"e{number}", "work", "span", start, start, 0.0, "ok", cost, {})


def names(roots: list[Span]) -> list[Any]:
    return [[root.id, *names(root.children)] for root in roots]


def test_children_are_nested_in_order() -> None:
    spans = [span(3, "c", "a"), span(1, "a", None), span(2, "b", "a"), span(4, "d", "b"), span(5, None, "b")]
    assert names(tree(spans)) == [["e1", ["e2", ["e4"], ["e5"]], ["e3"]]]


def test_orphans_are_roots_and_skew_does_no_harm() -> None:
    spans = [span(1, "child", "parent"), span(2, "parent", None), span(3, "lost", "nowhere")]
    assert names(tree(spans)) == [["e2", ["e1"]], ["e3"]]


def test_circles_are_cut() -> None:
    assert names(tree([span(1, "a", "b"), span(2, "b", "a"), span(3, "c", "c")])) == [["e1", ["e2"]], ["e3"]]


def test_one_id_twice() -> None:
    assert names(tree([span(1, "a", None), span(2, "a", None), span(3, "b", "a")])) == [["e1", ["e3"]], ["e2"]]


def test_very_deep() -> None:
    spans = [span(number, f"s{number}", f"s{number - 1}" if number else None) for number in range(5000)]
    root = tree(spans)[0].as_dict()
    depth, count, level = 0, 0, [root]
    while level:
        depth, count = depth + 1, count + len(level)
        level = [child for one in level for child in one["children"]]
    assert (depth, count) == (MAX_DEPTH + 1, 5000)


def test_costs() -> None:
    assert costs([span(1, None, None, 0.5), span(2, None, None), span(3, None, None, 0.25)]) == 0.75
    assert costs([span(1, None, None)]) is None


IDS = st.sampled_from(["a", "b", "c", "d", "e", None])


@given(st.lists(st.tuples(IDS, IDS), max_size=12))
def test_every_span_once(pairs: list[tuple[str | None, str | None]]) -> None:
    spans = [span(number, own, parent) for number, (own, parent) in enumerate(pairs)]
    seen, waiting = [], list(tree(spans))
    while waiting:
        seen.append(waiting.pop())
        waiting += seen[-1].children
    assert sorted(one.id for one in seen) == sorted(f"e{number}" for number in range(len(pairs)))
