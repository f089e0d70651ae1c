"""A copy of what a caller hands over, cheap enough for the caller's thread.

Containers are copied, leaves are shared: a host that appends to its list of messages a moment later changes nothing of
what was captured. Only exact ``dict``, ``list``, ``tuple`` and ``set`` are looked into, so no code of the host runs
here. Any other object is kept as it is and read later, in the background thread: what the host changes in it until
then shows.
"""

from itertools import chain
from typing import Any, Final

_CONTAINERS: Final = frozenset({dict, list, tuple, set})
_DICT_ALONE: Final = frozenset({dict})
#: Where a memo counts the copies that it does not hold one by one; no object has this id.
_FLAT: Final = 0
#: Most containers that are copied; what lies beyond is shared. Half a millisecond at the worst.
MOST: Final = 1_000
DEEPEST: Final = 32


def snapshot(value: Any) -> Any:
    """``value`` with containers of its own.

    Examples
    --------
    >>> messages = [{"role": "user"}]
    >>> kept = snapshot({"input_messages": messages})
    >>> messages.append({"role": "assistant"})
    >>> kept
    {'input_messages': [{'role': 'user'}]}
    """
    if type(value) is dict:
        copy = value.copy()
        return copy if _CONTAINERS.isdisjoint(map(type, copy.values())) else _inside_dict(copy, {id(value): copy}, 1)
    return _copied(value, {}, 0) if type(value) in _CONTAINERS else value


def _copied(value: Any, memo: dict[int, Any], depth: int) -> Any:
    """The copy of a container; the same for the same one, so that cycles stay cycles."""
    if (known := memo.get(id(value))) is not None:
        return known
    kind = type(value)
    if len(memo) + memo.get(_FLAT, 0) >= MOST or depth >= DEEPEST:
        return value
    if kind is tuple:
        return value if _CONTAINERS.isdisjoint(map(type, value)) else _inside_list(list(value), memo, depth + 1)
    memo[id(value)] = copy = value.copy()  # one step under the interpreter's lock: no other thread is half way in it
    if kind is list:
        return _inside_list(copy, memo, depth + 1)
    if kind is dict:
        return copy if _CONTAINERS.isdisjoint(map(type, copy.values())) else _inside_dict(copy, memo, depth + 1)
    return copy  # what a set holds is hashable, and so cannot change


def _inside_dict(copy: dict[Any, Any], memo: dict[int, Any], depth: int) -> dict[Any, Any]:
    for key, item in copy.items():
        if type(item) in _CONTAINERS:
            copy[key] = _copied(item, memo, depth)
    return copy


def _inside_list(copy: list[Any], memo: dict[int, Any], depth: int) -> list[Any]:
    if _DICT_ALONE.issuperset(map(type, copy)):
        return _inside_dicts(copy, memo, depth)
    if not _CONTAINERS.isdisjoint(map(type, copy)):
        for index, item in enumerate(copy):
            if type(item) in _CONTAINERS:
                copy[index] = _copied(item, memo, depth)
    return copy


def _inside_dicts(copy: list[dict[Any, Any]], memo: dict[int, Any], depth: int) -> list[dict[Any, Any]]:
    """Messages: copied all at once, which is a third quicker where they hold but texts and numbers."""
    flat = memo.get(_FLAT, 0) + len(copy)
    if len(memo) + flat > MOST or depth >= DEEPEST:
        return [_copied(item, memo, depth) for item in copy]
    copies = list(map(dict.copy, copy))
    if _CONTAINERS.isdisjoint(map(type, chain.from_iterable(map(dict.values, copies)))):
        memo[_FLAT] = flat
        return copies
    for index, (item, one) in enumerate(zip(copy, copies, strict=True)):
        if (known := memo.get(id(item))) is None:
            memo[id(item)] = one
            _inside_dict(one, memo, depth + 1)
        else:
            copies[index] = known
    return copies
