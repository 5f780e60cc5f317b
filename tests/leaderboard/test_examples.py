"""The examples in the docstrings run and give what they show."""

import doctest
import importlib
import pkgutil

import pytest

from vetime_plugins import leaderboard

MODULES = [module.name for module in pkgutil.walk_packages(leaderboard.__path__, f"{leaderboard.__name__}.")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0
