"""What griffe, which reads the code for the API reference without running it, cannot see by itself."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from griffe import Alias, Extension, GriffeLoader, Module, Object

PYDANTIC = "pydantic.dataclasses.dataclass"


CHOICES = re.compile(r"^( *\w+ : )\{(.*)\}", re.MULTILINE)


class Reference(Extension):
    """Mount ``adapters/`` where it is installed, and read the names and fields that are made at run time."""

    def on_object(self, *, obj: Object, **kwargs: Any) -> None:
        """Let choices of a parameter be text: the first of ``{"a", "b"} or float`` would be its default."""
        if obj.docstring is not None:
            obj.docstring.value = CHOICES.sub(r"\1one of \2", obj.docstring.value)

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **kwargs: Any) -> None:
        """Complete a package that was read."""
        if pkg.path == "vetime_plugins":
            pkg.set_member("adapters", loader.load("adapters"))
        for module in modules(pkg):
            decorator = module.members.get("dataclass")
            if isinstance(decorator, Alias) and decorator.target_path == PYDANTIC:
                # It takes its fields for parameters as that of the standard library, which griffe knows.
                decorator.target_path = "dataclasses.dataclass"

    def on_module_members(self, *, mod: Module, **kwargs: Any) -> None:
        """Give a package the names that it takes from its modules on first use."""
        if "_HOME" in mod.members:
            package = import_module(mod.path)
            mod.exports = list(package.__all__)
            for name, home in package._HOME.items():
                if name not in mod.members:
                    mod.set_member(name, Alias(name, f"{mod.path}.{home}.{name}", parent=mod))


def modules(package: Module) -> list[Module]:
    """Return a package and all modules in it."""
    inner = [one for one in package.members.values() if isinstance(one, Module)]
    return [package, *(module for one in inner for module in modules(one))]
