"""Importing the package is quick, loads no more than it says, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FRAMEWORKS = {"pyod": "pyod", "sktime": "sktime", "darts": "darts", "merlion": "merlion"}
BASES = {
    "pyod": "pyod.models.base",
    "sktime": "sktime.detection.base",
    "darts": "darts.ad.scorers.scorers",
    "merlion": "merlion.models.anomaly.base",
}


def run_python(code):
    """Run code in a fresh interpreter and return what it printed as JSON on its last line."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def modules_after(*statements):
    """Return the set of loaded modules after each statement, in one interpreter."""
    code = "import json, sys\nloaded = []\n"
    code += "".join(f"{statement}\nloaded.append(sorted(sys.modules))\n" for statement in statements)
    return [set(modules) for modules in run_python(code + "print(json.dumps(loaded))")]


def test_import_takes_less_than_a_fifth_of_a_second():
    code = "import time; t = time.perf_counter(); import vetime_plugins; print(time.perf_counter() - t)"
    assert min(run_python(code) for _ in range(3)) < 0.2


@pytest.mark.parametrize("module", ["vetime_plugins", "vetime_plugins.cli", "vetime_plugins.adapters"])
def test_import_loads_neither_torch_nor_a_framework(module):
    (loaded,) = modules_after(f"import {module}")
    assert not loaded & {"torch", "scipy", "pandas", "matplotlib", *FRAMEWORKS}


def test_public_names_resolve_and_are_listed():
    import vetime_plugins

    for name in vetime_plugins.__all__:
        assert getattr(vetime_plugins, name) is not None
        assert name in dir(vetime_plugins)


def test_an_unknown_name_is_an_attribute_error():
    import vetime_plugins

    with pytest.raises(AttributeError, match="no attribute 'VETimePipe'"):
        _ = vetime_plugins.VETimePipe


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_an_adapter_loads_its_own_framework_alone(name):
    pytest.importorskip(name)
    framework, adapter = modules_after(f"import {BASES[name]}", f"import vetime_plugins.adapters.{name}")
    assert FRAMEWORKS[name] in adapter
    # What the framework itself drags in (darts: torch, where it is installed) is not the adapter's doing.
    others = {"torch", *FRAMEWORKS.values()} - {FRAMEWORKS[name]}
    assert not (adapter - framework) & others
    assert not adapter & {"vetime_plugins.pipeline", "vetime_plugins.model"}


@pytest.mark.parametrize(
    ("name", "adapter"),
    [
        ("pyod", "VETime"),
        ("sktime", "VETimeDetector"),
        ("darts", "VETimeScorer"),
        ("merlion", "VETimeDetector"),
    ],
)
def test_a_missing_framework_is_named_with_its_extra(name, adapter):
    code = f"""
import json, sys
sys.modules[{FRAMEWORKS[name]!r}] = None  # what the import system does for a package that is not there
try:
    from vetime_plugins.adapters.{name} import {adapter}
except ImportError as error:
    from vetime_plugins import MissingDependencyError
    print(json.dumps([isinstance(error, MissingDependencyError), str(error)]))
"""
    expected, message = run_python(code)
    assert expected
    assert f'pip install "vetime-plugins[{name}]"' in message


def test_import_changes_no_global_state():
    code = """
import json, logging, os, random, warnings
import numpy, scipy.special, torch  # scipy.special adds a warnings filter of its own
def state():
    return [torch.get_num_threads(), torch.initial_seed(), torch.get_default_dtype().__str__(),
            torch.is_grad_enabled(), str(random.getstate()), str(numpy.random.get_state()), numpy.geterr(),
            str(warnings.filters), len(logging.root.handlers), logging.root.level, dict(os.environ)]
before = state()
import vetime_plugins
import vetime_plugins.cli, vetime_plugins.pipeline, vetime_plugins.plotting, vetime_plugins.thresholds
print(json.dumps([str(a) for a, b in zip(before, state()) if a != b]))
"""
    assert run_python(code) == []
