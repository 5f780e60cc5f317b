"""The distributions: what is in them, and that the wheel works where nothing else is installed."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement

import vetime_plugins
from vetime_plugins import VETimePipeline

CHECKOUT = Path(__file__).resolve().parents[1]
CORE = {"torch", "numpy", "scipy", "safetensors", "pydantic"}
EXTRAS = {"pyod", "sktime", "darts", "merlion", "cli", "report", "bench", "cluster", "dev", "all"}
NOT_COPIED = shutil.ignore_patterns(
    ".git",
    ".venv",
    "__pycache__",
    ".*_cache",
    "*.egg-info",
    "build",
    "dist",
    "site",
    "out",
    "runs",
    "demo-output",
)


def run(*command, **options):
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, **options
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """Build both distributions from a copy of the checkout, the wheel from the source distribution."""
    tree, out = tmp_path_factory.mktemp("tree") / "checkout", tmp_path_factory.mktemp("dist")
    shutil.copytree(
        CHECKOUT, tree, ignore=NOT_COPIED
    )  # leftovers in a checkout's build/ would get into the wheel
    # Without isolation the build uses the installed setuptools, so nothing is fetched.
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, tree)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def wheel_files(distributions):
    with zipfile.ZipFile(distributions[1]) as archive:
        return set(archive.namelist())


def sources(folder, prefix):
    files = (path.relative_to(CHECKOUT / folder) for path in (CHECKOUT / folder).rglob("*.py"))
    return {f"{prefix}/{path.as_posix()}" for path in files}


def test_wheel_holds_every_module_and_no_other(wheel_files):
    modules = {name for name in wheel_files if name.endswith(".py")}
    expected = sources("vetime_plugins", "vetime_plugins") | sources("adapters", "vetime_plugins/adapters")
    assert modules == expected


def test_wheel_holds_weights_and_type_marker(wheel_files):
    assert "vetime_plugins/py.typed" in wheel_files
    bundled = {path.name for path in (CHECKOUT / "vetime_plugins/weights/small").iterdir()}
    assert {"model.safetensors", "config.json"} <= bundled
    assert {f"vetime_plugins/weights/small/{name}" for name in bundled} <= wheel_files


def test_wheel_installs_one_top_level_name(wheel_files):
    top = {name.partition("/")[0] for name in wheel_files}
    assert top == {"vetime_plugins", f"vetime_plugins-{vetime_plugins.__version__}.dist-info"}


def test_metadata_says_what_is_needed(distributions):
    with zipfile.ZipFile(distributions[1]) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    core = {requirement.name for requirement in requirements if "extra" not in str(requirement.marker)}
    assert core == CORE
    assert set(metadata.get_all("Provides-Extra")) == EXTRAS
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"


def test_sdist_holds_the_package_and_no_tests(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "adapters/pyod.py"} <= names
    assert "vetime_plugins/weights/small/model.safetensors" in names
    unwanted = ("tests", "benchmarks", "docs", "examples", ".", "build", "Makefile")
    assert not [name for name in names if name != "." and name.startswith(unwanted)]


def requirements_closure(names):
    """Return the installed distributions that `names` need, themselves included."""
    found, waiting = {}, list(names)
    while waiting:
        name = waiting.pop()
        if name.lower() in found:
            continue
        distribution = importlib.metadata.distribution(name)
        found[name.lower()] = distribution
        needed = (Requirement(line) for line in distribution.requires or ())
        waiting += [
            need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    return list(found.values())


@pytest.fixture(scope="module")
def bare_python(distributions, tmp_path_factory):
    """Return the interpreter of an environment with the wheel, the core's requirements and nothing else.

    The requirements are links to this environment's own copies, one by one, so that nothing is fetched and
    nothing more comes along; pip then checks them against the wheel's metadata.
    """
    folder = tmp_path_factory.mktemp("bare")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = next(path for path in (folder / "bin/python", folder / "Scripts/python.exe") if path.exists())
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for distribution in requirements_closure(CORE):
        root = Path(distribution.locate_file(""))
        tops = {path.parts[0] for path in distribution.files if path.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(root / top)
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--quiet", distributions[1])
    return python


@pytest.fixture
def bare(bare_python, tmp_path):
    """Run the bare interpreter far from the checkout."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return lambda *arguments: run(bare_python, *arguments, cwd=tmp_path, env=environment)


def test_bare_environment_has_no_extra(bare):
    code = "import importlib.metadata as m, json; print(json.dumps([d.name for d in m.distributions()]))"
    names = {name.lower().replace("_", "-") for name in json.loads(bare("-c", code))}
    assert names >= {"vetime-plugins", *CORE}
    assert not names & {
        "pandas",
        "pyod",
        "sktime",
        "darts",
        "salesforce-merlion",
        "matplotlib",
        "tqdm",
        "scikit-learn",
    }


def test_bare_environment_scores_a_series(bare, wave):
    code = f"""
import json
import vetime_plugins
from vetime_plugins import VETimePipeline
assert {str(CHECKOUT)!r} not in vetime_plugins.__file__
print(json.dumps(VETimePipeline.from_pretrained("small").score({wave[0].tolist()}).tolist()))
"""
    scores = json.loads(bare("-c", code))
    np.testing.assert_allclose(scores, VETimePipeline.from_pretrained("small").score(wave[0]), atol=1e-6)


def test_bare_environment_has_the_command(bare_python, tmp_path, wave):
    table = tmp_path / "wave.csv"
    np.savetxt(table, np.stack(wave, axis=1), delimiter=",", header="load,label", comments="")
    command = bare_python.with_name("vetime")
    report = run(command, "score", table, "--labels", "label", "--out", tmp_path / "scores.csv", cwd=tmp_path)
    assert "VUS-PR" in report
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 601


@pytest.mark.parametrize("framework", ["pyod", "sktime", "darts", "merlion"])
def test_bare_environment_names_the_extra_of_an_adapter(bare, framework):
    code = f"""
from vetime_plugins import MissingDependencyError
try:
    import vetime_plugins.adapters.{framework} as adapter
    name = [name for name in adapter.__all__ if name.startswith("VETime")][0]
    getattr(adapter, name)
except MissingDependencyError as error:
    print(error)
"""
    assert f'pip install "vetime-plugins[{framework}]"' in bare("-c", code)
