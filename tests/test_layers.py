"""Imports between the package's folders go downwards only, and no two modules import each other."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

# From the bottom to the top; a part may import what stands in its own line or in a line above it here.
LAYERS = (
    (
        "__init__",
        "_arguments",
        "_command",
        "_files",
        "_lazy",
        "_progress",
        "_spreadsheet",
        "_threads",
        "_validation",
        "errors",
    ),
    ("adaptive", "series", "thresholds"),
    ("retrieval", "metrics", "synthesis", "incidents"),
    ("network",),
    ("explanation", "parallel", "reading", "training"),
    ("plotting",),
    ("pipeline",),
    ("_long_table", "long_format", "moving", "streaming"),
    ("adapters",),
    ("detectors",),
    ("leaderboard", "selection"),
    ("cli",),
)
PUBLIC_NAMES_ELSEWHERE = {"config", "imaging", "leaderboard.detectors", "leaderboard.metrics"}
"""Modules that only give former or public names to what lives elsewhere."""


@cache
def modules() -> dict[str, Path]:
    """Return the file of every module, named without the package's name."""
    found = {}
    for root, prefix in ((CHECKOUT / "vetime_plugins", ""), (CHECKOUT / "adapters", "adapters.")):
        for path in root.rglob("*.py"):
            name = prefix + ".".join(path.relative_to(root).with_suffix("").parts)
            found[name if name == "__init__" else name.removesuffix(".__init__")] = path
    return found


def imports(path: Path) -> set[str]:
    """Return the modules of the package that a file imports when it runs, wherever in it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        for node in ast.walk(statement)
    }
    named = set()
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom):
            # A module that is named from its package stands for itself, any other name for its module.
            named |= {
                _known(f"{node.module}.{alias.name}") or _known(str(node.module)) for alias in node.names
            }
        elif isinstance(node, ast.Import):
            named |= {_known(alias.name) for alias in node.names}
    return named - {""}


def _known(name: str) -> str:
    below = name.removeprefix("vetime_plugins.")
    return below if below != name and below in modules() else ""


def part(module: str) -> str:
    return module.split(".")[0]


def test_every_part_has_a_layer():
    known = {name for layer in LAYERS for name in layer} | PUBLIC_NAMES_ELSEWHERE | {"__main__"}
    assert {part(name) for name in modules()} <= known


def test_arrows_go_downwards():
    height = {name: i for i, layer in enumerate(LAYERS) for name in layer}
    upwards = {
        f"{module} -> {target}"
        for module, path in modules().items()
        if module not in PUBLIC_NAMES_ELSEWHERE and part(module) in height
        for target in imports(path)
        if height.get(part(target), len(LAYERS)) > height[part(module)]
    }
    assert upwards == set()


def test_selection_does_without_the_leaderboard():
    assert not [
        m for m, p in modules().items() if part(m) == "selection" and "leaderboard" in map(part, imports(p))
    ]


def test_no_circles():
    # Raises CycleError, which names the modules. Lazy public names are no arrows: they come on demand.
    TopologicalSorter({module: imports(path) - {module} for module, path in modules().items()}).prepare()


def test_scripts_import_what_exists():
    """Benchmarks are not run by the tests: what they import may have been renamed."""
    missing = []
    for path in sorted((CHECKOUT / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("vetime_plugins"):
                module = import_module(str(node.module))
                for alias in node.names:
                    if not hasattr(module, alias.name) and _known(f"{node.module}.{alias.name}") == "":
                        missing.append(f"{path.name}: {node.module}.{alias.name}")
    assert missing == []
