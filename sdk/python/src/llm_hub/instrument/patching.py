"""Replacing methods of somebody else's classes, and putting them back exactly."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

Method = Callable[..., Any]


class Patches:
    """The methods replaced for one package."""

    def __init__(self) -> None:
        self._replaced: list[tuple[type, str, Method]] = []

    def __bool__(self) -> bool:
        """Whether anything is replaced."""
        return bool(self._replaced)

    def replace(self, module: str, owner: str, names: tuple[str, ...], make: Callable[[Method], Method]) -> None:
        """Replace methods of ``module.owner`` by what ``make`` makes of them; what this version lacks is left out."""
        try:
            found = getattr(importlib.import_module(module), owner)
        except (ImportError, AttributeError):
            return
        for name in names:
            original = vars(found).get(name)
            if original is not None:
                setattr(found, name, functools.wraps(original)(make(original)))
                self._replaced.append((found, name, original))

    def restore(self) -> None:
        """Put back the very objects that were there."""
        while self._replaced:
            owner, name, original = self._replaced.pop()
            setattr(owner, name, original)
