"""The adapters' test matrix: one framework alone in a fresh environment, at its lowest and highest versions.

Run all of it with ``nox -f tests/noxfile.py``, a part with e.g. ``-s "adapter(highest, darts)"``, on another
Python with ``--force-python 3.12``. ``PIP_CONSTRAINT`` may name a file that picks the build of torch. Needs
``pip install nox``. The lowest versions are read from the extras in pyproject.toml, so that what is promised
there is what is tested here.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = nox.project.load_toml(ROOT / "pyproject.toml")["project"]["optional-dependencies"]

# What an adapter has to work with besides its framework. Merlion 2.0.4 allows neither numpy 2 nor pandas 3.
COMPANIONS = {
    ("pyod", "lowest"): ["numpy<2", "pandas<3"],
    ("pyod", "highest"): ["numpy>=2", "pandas>=3"],
    ("sktime", "lowest"): ["numpy<2", "pandas<3"],
    ("sktime", "highest"): ["numpy>=2", "pandas>=3"],
    ("darts", "lowest"): ["pandas<3"],
    ("darts", "highest"): ["numpy>=2", "pandas>=3"],
    ("merlion", "lowest"): ["numpy==1.26.*", "pandas<3"],
    ("merlion", "highest"): ["numpy==1.26.*", "pandas<3"],
}
FRAMEWORKS = sorted({framework for framework, _ in COMPANIONS})

nox.options.error_on_missing_interpreters = True
nox.options.reuse_existing_virtualenvs = True


@nox.session
@nox.parametrize("framework", FRAMEWORKS, ids=FRAMEWORKS)
@nox.parametrize("versions", ["lowest", "highest"], ids=["lowest", "highest"])
def adapter(session: nox.Session, framework: str, versions: str) -> None:
    """Install the package with one extra, check that no other framework came with it, run the tests."""
    pins = [_lowest(EXTRAS[framework][0])] if versions == "lowest" else []
    session.install(f"{ROOT}[{framework}]", "pytest", *pins, *COMPANIONS[framework, versions])
    session.run("python", "-c", _PRINT_VERSIONS, framework)
    session.run("python", "-c", _OTHERS_ABSENT, framework)
    # Away from the checkout, which has a vetime_plugins of its own to import.
    away = Path(session.create_tmp())
    shutil.copy(ROOT / "pyproject.toml", away)
    shutil.copytree(ROOT / "tests", away / "tests", dirs_exist_ok=True)
    session.chdir(away)
    session.env["VETIME_SHARED"] = os.environ.get("VETIME_SHARED", str(ROOT.parent / "shared"))
    tests = [
        "tests/adapters/test_missing_framework.py",
        "tests/conformance/test_same_scores.py",
        *sorted(str(path) for path in Path("tests").glob(f"*/test_{framework}*.py")),
    ]
    # Old frameworks on new libraries warn; that is not what is tested here.
    session.run("pytest", "-q", "-W", "default", *session.posargs, *tests)


def _lowest(requirement: str) -> str:
    """Turn ``"darts>=0.42"`` into ``"darts==0.42"``."""
    found = re.match(r"([\w.-]+)>=([\d.]+)", requirement)
    assert found, f"an extra starts with its framework's lowest version, got {requirement!r}"
    return f"{found[1]}=={found[2]}"


_PRINT_VERSIONS = """
import sys
from importlib.metadata import version
framework = {"merlion": "salesforce-merlion"}.get(sys.argv[1], sys.argv[1])
names = [framework, "numpy", "pandas", "scipy", "scikit-learn", "torch"]
print(sys.version.split()[0], *(f"{name}=={version(name)}" for name in names))
"""

# Darts itself requires PyOD.
_OTHERS_ABSENT = """
import sys
from importlib.util import find_spec
others = {"pyod", "sktime", "darts", "merlion"} - {"darts": {"darts", "pyod"}}.get(sys.argv[1], {sys.argv[1]})
sys.exit(f"also installed: {found}" if (found := [name for name in sorted(others) if find_spec(name)]) else 0)
"""
