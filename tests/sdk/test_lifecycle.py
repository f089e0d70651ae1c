"""What open clients are told of forks and of the end of the process; test_process.py has the real ones."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from llm_hub import lifecycle


class Fake:
    """A client that writes down what it is told."""

    exit_timeout = 1.0

    def __init__(self, told: list[tuple[str, str]], name: str) -> None:
        self._told = told
        self._name = name

    def renew(self) -> None:
        self._told.append((self._name, "renew"))

    def hasten(self, deadline: float) -> None:
        self._told.append((self._name, "hasten"))

    def end(self, deadline: float) -> None:
        self._told.append((self._name, "end"))
        lifecycle.forget(self)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(lifecycle, "_living", set())
    for name in ("a", "b"):
        lifecycle.begin(Fake(told, name))
    return told


def test_all_are_hastened_before_any_is_waited_for(told: list[tuple[str, str]]) -> None:
    lifecycle.end_all()
    assert [what for _, what in told] == ["hasten", "hasten", "end", "end"]
    lifecycle.end_all()
    assert len(told) == 4


def test_a_fork_waits_for_a_transport_in_the_making(told: list[tuple[str, str]]) -> None:
    lifecycle.before_fork()
    assert lifecycle.CONNECTING.locked()
    lifecycle.after_fork_in_parent()
    assert not lifecycle.CONNECTING.locked()
    assert told == []


def test_a_fork_does_not_wait_for_ever(told: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "_PATIENCE_S", 0.01)
    with lifecycle.CONNECTING:
        lifecycle.before_fork()
        lifecycle.after_fork_in_parent()
        assert lifecycle.CONNECTING.locked()  # by its holder, in the parent
    lifecycle.CONNECTING.acquire()
    lifecycle.before_fork()
    lifecycle.after_fork_in_child()
    assert not lifecycle.CONNECTING.locked()
    assert sorted(told) == [("a", "renew"), ("b", "renew")]


def test_finalizers_of_multiprocessing_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    util = SimpleNamespace(Finalize=lambda *args, **options: made.append((args, options)))
    monkeypatch.setattr(lifecycle, "_children", set())
    monkeypatch.setitem(sys.modules, "multiprocessing.util", util)  # type: ignore[arg-type]
    lifecycle.watch_multiprocessing()
    lifecycle.watch_multiprocessing()
    assert made == [((None, lifecycle.end_all), {"exitpriority": 0})]
    monkeypatch.delitem(sys.modules, "multiprocessing.util")
    monkeypatch.setattr(lifecycle, "_children", set())
    lifecycle.watch_multiprocessing()
    assert len(made) == 1
