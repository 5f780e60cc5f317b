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
CORE = {"torch", "numpy", "scipy", "safetensors", "pydantic", "filelock"}
EXTRAS = {
    "pyod",
    "sktime",
    "darts",
    "merlion",
    "cli",
    "report",
    "leaderboard",
    "bench",
    "cluster",
    "foundation",
    "corpus",
    "dev",
    "all",
}
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
    for weights in ("small", "expectation"):
        bundled = {path.name for path in (CHECKOUT / "vetime_plugins/weights" / weights).iterdir()}
        assert {"model.safetensors", "config.json", "golden.safetensors", "MODEL_CARD.md"} <= bundled
        assert {f"vetime_plugins/weights/{weights}/{name}" for name in bundled} <= wheel_files


def test_wheel_installs_one_top_level_name(wheel_files):
    top = {name.partition("/")[0] for name in wheel_files}
    assert top == {"vetime_plugins", f"vetime_plugins-{vetime_plugins.__version__}.dist-info"}


def test_metadata_says_what_is_needed(distributions):
    metadata = wheel_metadata(distributions[1])
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


def wheel_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return HeaderParser().parsestr(archive.read(name).decode())


def requirements_closure(wheel, extra):
    """Return the installed distributions that a wheel of this package needs with an extra, "" for none."""
    waiting = [Requirement(f"vetime-plugins[{extra}]" if extra else "vetime-plugins")]
    found, seen = {}, set()
    while waiting:
        need = waiting.pop()
        name = need.name.lower().replace("_", "-")
        for chosen in {"", *need.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, chosen))
            if name == "vetime-plugins":
                lines = wheel_metadata(wheel).get_all("Requires-Dist")
            else:
                found[name] = importlib.metadata.distribution(need.name)
                lines = found[name].requires or ()
            for more in map(Requirement, lines):
                if more.marker is None or more.marker.evaluate({"extra": chosen}):
                    waiting.append(more)
    return list(found.values())


def make_environment(folder, wheel, extra=""):
    """Return the interpreter of an environment with the wheel, what it needs with an extra and nothing else.

    What it needs are links to this environment's own copies, one by one, so that nothing is fetched and
    nothing more comes along; pip then checks them against the wheel's metadata.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = next(path for path in (folder / "bin/python", folder / "Scripts/python.exe") if path.exists())
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for distribution in requirements_closure(wheel, extra):
        root = Path(distribution.locate_file(""))
        tops = {path.parts[0] for path in distribution.files if path.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(root / top)
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--quiet", wheel)
    return python


@pytest.fixture(scope="module")
def bare_python(distributions, tmp_path_factory):
    """Return the interpreter of an environment with the wheel, the core's requirements and nothing else."""
    return make_environment(tmp_path_factory.mktemp("bare"), distributions[1])


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


def write_series(folder, wave):
    """Write a table to score, and a folder with a labelled series in the layout of TSB-AD."""
    text = "\n".join(f"{value},{int(label)}" for value, label in zip(*wave, strict=True))
    (folder / "wave.csv").write_text(f"load,label\n{text}\n")
    (folder / "data/A").mkdir(parents=True)
    (folder / "data/A/001_A_id_1_Sensor_tr_100_1st_300.csv").write_text(f"Data,Label\n{text}\n")


COMMANDS = {
    "info": "info",
    "verify": "info --verify",
    "score": "score wave.csv --labels label --out scores.csv",
    "plot": "plot wave.csv --column load --out plot.png",
    "select": "select wave.csv --column load --budget 20 --trials 2",
    "tasks": "leaderboard tasks",
    "detectors": "leaderboard detectors",
    "run": "leaderboard run tsb-ad --data data --out results --quiet --time-limit 60",
    "metrics": "leaderboard metrics results --quiet",
    "export": "leaderboard export results --out cells.csv",
    "report": "leaderboard report results --out report.html",
    "embedded": "leaderboard run embedded --detectors random --out embedded --quiet",
    "data": "data list",
    "convert": "convert --help",
    "train": "train --help",
}
NEEDS_A_RUN = {"metrics", "export", "report"}


def check_commands(python, folder, wave, lacking):
    """Run every command; each works, or says in one line which extra it needs."""
    write_series(folder, wave)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    found = set()
    for name, arguments in COMMANDS.items():
        if name in NEEDS_A_RUN and "run" in found:
            continue
        done = subprocess.run(
            [python.with_name("vetime"), *arguments.split()],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env=environment,
        )
        assert "Traceback" not in done.stderr, (name, done.stderr)
        if done.returncode == 0:
            continue
        assert done.returncode == 1, (name, done.returncode, done.stdout, done.stderr)
        assert 'pip install "vetime-plugins[' in done.stderr.splitlines()[-1], (name, done.stderr)
        found.add(name)
    assert found == lacking
    chosen = f"select_detector({wave[0].tolist()}, ['vetime', 'sub-knn'], n_trials=1).name"
    code = f"from vetime_plugins.selection import select_detector\nprint({chosen})"
    assert run(python, "-c", code, cwd=folder, env=environment).strip() in {"vetime", "sub-knn"}


def test_bare_environment_runs_every_command_or_names_the_extra(bare_python, tmp_path, wave):
    check_commands(bare_python, tmp_path, wave, {"plot", "run", "embedded"})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("extra", "lacking"),
    [
        ("pyod", {"export", "report", "embedded"}),
        ("sktime", {"plot", "report", "embedded"}),
        ("darts", {"embedded"}),
        ("merlion", {"embedded"}),
        ("cli", {"run", "embedded"}),
        ("report", {"run", "embedded"}),
        ("leaderboard", {"embedded"}),
        ("bench", set()),
    ],
)
def test_environment_of_an_extra_runs_every_command_or_names_another(
    distributions, tmp_path, wave, extra, lacking
):
    python = make_environment(tmp_path / "environment", distributions[1], extra)
    check_commands(python, tmp_path, wave, lacking)


def test_the_registry_of_sktime_finds_the_detector_in_a_wheel(distributions, tmp_path):
    python = make_environment(tmp_path / "environment", distributions[1], "sktime")
    code = (
        "from skbase.lookup import all_objects\n"
        "from sktime.detection.base import BaseDetector\n"
        "found = all_objects(object_types=BaseDetector, package_name='vetime_plugins', return_names=True)\n"
        "print([(name, cls.__module__) for name, cls in found])"
    )
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    found = run(python, "-c", code, cwd=tmp_path, env=environment)
    assert found.strip() == "[('VETimeDetector', 'vetime_plugins.adapters.sktime')]"


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
