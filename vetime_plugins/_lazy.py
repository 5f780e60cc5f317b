"""What is imported when it is first asked for: public names of a package (PEP 562), optional modules."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from vetime_plugins.errors import MissingDependencyError


def lazy_names(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    homes : mapping of str to str
        For each public name the module of the package that defines it.

    Returns
    -------
    tuple of two functions
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        # The next access does not come through here. Where a module bears the name, importing it has taken
        # the place, and this puts the object there.
        vars(sys.modules[package])[name] = value
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *homes})

    return get, names


def need(module: str, what: str, *, extra: str) -> Any:
    """Import an optional module; `what` says in the error what needs it, `extra` brings it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingDependencyError(f'{what}; run: pip install "vetime-plugins[{extra}]"') from error
