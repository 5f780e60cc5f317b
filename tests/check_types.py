"""Run mypy over the package and the adapters, each module under the name it is imported by.

mypy takes the name of a module from its folder. It calls ``adapters/pyod.py`` by itself ``adapters.pyod``,
and finds nothing behind an import of ``vetime_plugins.adapters.pyod``. The options are mypy's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from mypy.build import build
from mypy.errors import CompileError
from mypy.main import process_options

CHECKED = ("vetime_plugins", "adapters", "tests/check_types.py", "tests/test_types.py")


def check_types(options: Sequence[str]) -> list[str]:
    """Return what mypy finds, one line each."""
    sources, settings = process_options([*options, *CHECKED])
    for source in sources:
        if source.module.partition(".")[0] == "adapters":
            source.module = f"vetime_plugins.{source.module}"
    settings.fast_module_lookup = True  # look for an imported module among the sources first, by its name
    try:
        return build(sources, settings).errors
    except CompileError as error:
        return error.messages


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[1])  # where the settings and the folders they name are
    if found := check_types(sys.argv[1:]):
        sys.exit("\n".join(found))
    print("No type errors.")
