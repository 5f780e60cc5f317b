"""An adapter without its framework says what to install; the rest of the package does without."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import requires

import pytest

from vetime_plugins.adapters import _shared
from vetime_plugins.errors import MissingDependencyError, VETimeError

ADAPTERS = {
    "pyod": ("VETime for PyOD", "pyod"),
    "sktime": ("VETimeDetector for sktime", "sktime"),
    "darts": ("VETimeScorer for Darts", "darts"),
    "merlion": ("VETimeDetector for Merlion", "salesforce-merlion"),
}

NAMES = {
    "pyod": "VETime",
    "sktime": "VETimeDetector",
    "darts": "VETimeScorer",
    "merlion": "VETimeDetector",
}

FRAMEWORK_BASE = {
    "pyod": "pyod.models.base",
    "sktime": "sktime.detection.base",
    "darts": "darts.ad.scorers.scorers",
    "merlion": "merlion.models.factory, merlion.models.anomaly.base",
}

# A None in sys.modules makes `import X` and `import X.y` fail as they do where X is not installed.
BLOCKED = "import sys; sys.modules.update(dict.fromkeys({blocked!r}))\n"


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", ADAPTERS)
def test_message_names_requirement_and_command(module):
    adapter, package = ADAPTERS[module]
    done = run(
        BLOCKED.format(blocked=[module])
        + "from vetime_plugins.errors import MissingDependencyError\n"
        + f"try:\n    from vetime_plugins.adapters.{module} import {NAMES[module]}\n"
        + "except MissingDependencyError as error:\n    print(error)\n"
    )
    (message,) = done.stdout.splitlines()
    requirement = re.escape(package) + r">=[\d.]+"
    expected = (
        re.escape(adapter)
        + " needs "
        + requirement
        + re.escape(f'; run: pip install "vetime-plugins[{module}]"')
    )
    assert re.fullmatch(expected, message)


@pytest.mark.parametrize("module", ADAPTERS)
def test_message_asks_for_what_the_extra_brings(module):
    code = (
        BLOCKED.format(blocked=[module]) + f"import vetime_plugins.adapters.{module} as a; a.{NAMES[module]}"
    )
    needed = re.search(r"needs (\S+);", run(code).stderr)[1]
    extras = [
        one.split(";")[0].strip() for one in requires("vetime-plugins") if f'extra == "{module}"' in one
    ]
    assert needed in extras


@pytest.mark.parametrize("module", ADAPTERS)
def test_is_an_import_error_with_its_cause(module):
    code = f"from vetime_plugins.adapters.{module} import {NAMES[module]}"
    done = run(BLOCKED.format(blocked=[module]) + code)
    assert done.returncode == 1
    assert "MissingDependencyError" in done.stderr
    assert "The above exception was the direct cause" in done.stderr
    assert issubclass(MissingDependencyError, ImportError)
    assert issubclass(MissingDependencyError, VETimeError)


@pytest.mark.parametrize("module", ADAPTERS)
def test_a_walk_over_the_package_passes_it(module):
    code = f"import vetime_plugins.adapters.{module} as a; print({NAMES[module]!r} in dir(a))"
    assert run(BLOCKED.format(blocked=[module]) + code).stdout.strip() == "False"
    pytest.importorskip(module)
    assert run(code).stdout.strip() == "True"


def test_the_package_itself_needs_no_framework():
    done = run(
        BLOCKED.format(blocked=[*ADAPTERS, "pandas", "sklearn"])
        + "import numpy as np, vetime_plugins.adapters\n"
        + "from vetime_plugins import VETimePipeline\n"
        + "print(len(VETimePipeline.from_pretrained().score(np.sin(np.arange(100)))))"
    )
    assert done.stdout.strip() == "100", done.stderr


@pytest.mark.parametrize("module", ADAPTERS)
def test_an_adapter_imports_no_other_framework_and_no_torch(module):
    pytest.importorskip(module)
    # Darts imports PyOD, and sktime's detection module looks for it: what they bring along is theirs.
    base = run(f"import sys, {module}, {FRAMEWORK_BASE[module]}; print(*sys.modules)").stdout.split()
    done = run(f"import sys, vetime_plugins.adapters.{module}; print(*sys.modules)").stdout.split()
    added = {name.split(".")[0] for name in set(done) - set(base)}
    assert not added & ({*ADAPTERS, "torch"} - {module})


def test_shared_message():
    error = _shared.missing_dependency("VETimeDetector for sktime", "sktime>=1.0", "sktime")
    assert str(error) == (
        'VETimeDetector for sktime needs sktime>=1.0; run: pip install "vetime-plugins[sktime]"'
    )
