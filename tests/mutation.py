"""Change the package at random places and see whether its tests notice.

    python tests/mutation.py [PART ...] [--mutants 100] [--seed 0] [--at vus.py:120 ...]

A mutant is one line of ``vetime_plugins/PART`` changed by an operator of cosmic-ray: another comparison or
arithmetic, a number one higher or lower, a condition turned round, a loop that never runs. Places are drawn
first, then what is done there, so that no place counts more for having many operators; what only changes an
annotation is no mutant. Each runs in a fork of this process, which has the libraries loaded already; no file
is touched.

The tests of the part run first, and those of what uses it on those left alive. Before that, two things
must hold: the tests pass where nothing is changed, and they fail for each module whose functions all raise.
Survivors are printed: each wants a test, or is equivalent. The exit status is 0 whatever survives.
"""

from __future__ import annotations

import argparse
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCORES = (
    "network/test_golden",
    "test_units",
    "test_several",
    "test_thresholds",
    "test_pipeline",
    "test_severity",
)
USERS = {
    "metrics": ("leaderboard/test_report_statistics", "detectors/test_baselines", "properties/test_parts"),
    "retrieval": SCORES,
    "series": SCORES,
}
"""Tests of what uses a part: they run on the mutants that its own tests leave alive."""
OWN = dict.fromkeys(("sliding", "stream", "tables"), "test_moving")
"""Where the tests of a module are that has none among those of its part."""
CLOCKS = "not grows_linearly and not take_a_moment and not memory_does_not_hold"
"""Tests that measure time or memory: they may fail without a fault on a busy machine."""
CPU_SECONDS, MOST_BYTES = 240, 6 << 30
"""For the tests of one mutant. A loop without end counts as noticed."""
NOT_LOADED = 77


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives one module its changed code, and remembers whether it was asked for it."""

    def __init__(self, path: Path, code: str) -> None:
        self.path, self.code, self.loaded = path, code, False
        self.name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        inside = [str(self.path.parent)] if self.path.stem == "__init__" else None
        return importlib.util.spec_from_file_location(
            name, self.path, loader=self, submodule_search_locations=inside
        )

    def exec_module(self, module: Any) -> None:
        self.loaded = True
        exec(compile(self.code, str(self.path), "exec"), vars(module))


def outcome(path: Path, code: str, tests: list[str]) -> str:
    """Run tests with other code for a module, in a fork: "passed", "failed", "unusable" or "stopped".

    Code that cannot be imported is unusable: any test at all would notice it. One that has to be killed was
    out of time or memory.
    """
    child = os.fork()
    if child == 0:
        status = 70
        try:
            status = _test_in_child(path, code, tests)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return "stopped"
    found = {0: "passed", 1: "failed", 2: "unusable"}.get(os.WEXITSTATUS(status))
    if found is None:
        reason = "did not load the module" if os.WEXITSTATUS(status) == NOT_LOADED else "did not run"
        raise RuntimeError(f"the tests {tests} {reason} {path.name}")
    return found


def _test_in_child(path: Path, code: str, tests: list[str]) -> int:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    changed = _Changed(path, code)
    sys.meta_path.insert(0, changed)
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    status = int(pytest.main([*options, "-m", "not slow", "-k", CLOCKS, *tests]))
    return status if changed.loaded else NOT_LOADED


def tests_of(path: Path) -> list[str]:
    """Return the test files of the part of a module, first the one that has its name."""
    found = sorted((ROOT / "tests" / path.parent.name).glob("test_*.py"))
    found.sort(key=lambda test: test.stem != f"test_{path.stem}")
    beside = [f"tests/{OWN[path.stem]}.py"] if path.stem in OWN else []
    return beside + [str(test.relative_to(ROOT)) for test in found]


def users_of(path: Path) -> list[str]:
    """Return the test files of what uses a module."""
    names = ("test_streaming",) if path.stem in OWN else USERS[path.parent.name]
    return [f"tests/{name}.py" for name in names]


def mutants(path: Path, rng: random.Random) -> Iterator[tuple[int, str]]:
    """Yield for each place of a module, in random order, its line and the module changed there in one way."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    source = path.read_text(encoding="utf-8")
    nodes = list(ast_nodes(get_ast(source)))
    places: dict[tuple[int, int], list[tuple[Any, int]]] = {}
    for name in operator_names():
        kind = get_operator(name)
        if kind.arguments():  # they need the name of a variable
            continue
        operator = kind()
        spans = (start for node in nodes for start, _ in operator.mutation_positions(node))
        for occurrence, start in enumerate(spans):
            places.setdefault(start, []).append((operator, occurrence))
    for line, column in rng.sample(sorted(places), len(places)):
        operator, occurrence = rng.choice(places[line, column])
        code = mutate_code(source, operator, occurrence)
        if code is not None and _means_another(source, code):
            yield line, code


def _means_another(source: str, code: str) -> bool:
    """Tell whether code differs from the source in more than annotations, and is Python."""
    try:
        return _without_annotations(source) != _without_annotations(code)
    except SyntaxError:
        return False


def _without_annotations(code: str) -> str:
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = ast.Constant(None)
        elif isinstance(node, ast.FunctionDef):
            node.returns = None
    return ast.dump(tree)


def broken(source: str) -> str | None:
    """Return code in which every function raises; None where there is no function that does anything."""
    tree, found = ast.parse(source), False
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.unparse(node.body[-1]) != "...":
            node.body.insert(0, ast.parse("raise RuntimeError('broken')").body[0])
            found = True
    return ast.unparse(tree) if found else None


def check(paths: list[Path]) -> None:
    """Stop where the tests fail without a change, or pass beside a module that is broken."""
    for path in paths:
        source = path.read_text(encoding="utf-8")
        if path == paths[0]:
            for tests in (tests_of(path), users_of(path)):
                if outcome(path, source, tests) != "passed":
                    sys.exit(f"the tests of {path.parent.name} fail where nothing is changed")
        code = broken(source)
        if code is not None and outcome(path, code, tests_of(path)) == "passed":
            sys.exit(f"the tests of {path.parent.name} pass where every function of {path.name} raises")


def try_part(part: str, args: argparse.Namespace) -> None:
    """Try mutants of one part, print those that survive, and how many there were of each kind."""
    paths = sorted((ROOT / "vetime_plugins" / part).glob("*.py"))
    check(paths)
    rng = random.Random(f"{part} {args.seed}")
    every = [(path, *one) for path in paths for one in mutants(path, rng)]
    counts: Counter[str] = Counter()
    start = time.monotonic()
    for path, line, code in rng.sample(every, min(args.mutants, len(every))):
        if args.at and f"{path.name}:{line}" not in args.at:
            continue
        found = outcome(path, code, tests_of(path))
        if found == "passed":
            found = "survived" if outcome(path, code, users_of(path)) == "passed" else "failed elsewhere"
        counts[found] += 1
        if found == "survived" or args.at:
            print(
                f"{found}: {path.relative_to(ROOT)}:{line}", *_lines_changed(path, code), sep="\n", flush=True
            )
    told = ", ".join(f"{number} {found}" for found, number in sorted(counts.items()))
    print(
        f"{part}: {counts.total()} of {len(every)} places, {told}, {time.monotonic() - start:.0f} s",
        flush=True,
    )


def _lines_changed(path: Path, code: str) -> Iterator[str]:
    before = path.read_text(encoding="utf-8").splitlines()
    for old, new in zip(before, code.splitlines(), strict=False):
        if old != new:
            yield f"  - {old.strip()}"
            yield f"  + {new.strip()}"
            return


def main() -> None:
    """Read the command line, load the libraries, and try the parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", default=list(USERS), metavar="PART", help="all of %(default)s if none is named"
    )
    parser.add_argument(
        "--mutants", type=int, default=100, help="how many of each part, %(default)s by default"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--at", nargs="*", default=[], help="try only those of the sample that are in these lines"
    )
    args = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in ("OMP", "MKL", "OPENBLAS"):
        os.environ.setdefault(f"{name}_NUM_THREADS", "1")  # and so no thread that a fork would lose
    # Not pytest and its plugins: they want to be loaded by each run of theirs.
    for library in (
        "numpy",
        "scipy.stats",
        "scipy.ndimage",
        "torch",
        "pandas",
        "sklearn.metrics",
        "pydantic",
    ):
        importlib.import_module(library)
    for part in args.parts:
        try_part(part, args)


if __name__ == "__main__":
    main()
