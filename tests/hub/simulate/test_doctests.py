"""The examples in the docstrings hold."""

import doctest
import importlib
import pkgutil

import pytest

import hub.simulate

MODULES = [module.name for module in pkgutil.walk_packages(hub.simulate.__path__, "hub.simulate.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
