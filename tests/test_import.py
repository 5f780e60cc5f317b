"""Importing the package is quick, loads no more than it says, and changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FRAMEWORKS = {"pyod", "sktime", "darts", "merlion"}


def run_python(code):
    """Run code in a fresh interpreter and return what it printed as JSON on its last line."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def test_import_takes_less_than_a_fifth_of_a_second():
    code = "import time; t = time.process_time(); import vetime_plugins; print(time.process_time() - t)"
    assert min(run_python(code) for _ in range(5)) < 0.2


@pytest.mark.parametrize("module", ["vetime_plugins", "vetime_plugins.cli", "vetime_plugins.adapters"])
def test_import_loads_neither_torch_nor_a_framework(module):
    loaded = run_python(f"import json, sys, {module}; print(json.dumps(list(sys.modules)))")
    assert not set(loaded) & {"torch", "scipy", "pydantic", "pandas", "matplotlib", *FRAMEWORKS}


def test_public_names_resolve_and_are_listed():
    import vetime_plugins

    for name in vetime_plugins.__all__:
        assert getattr(vetime_plugins, name) is not None
        assert name in dir(vetime_plugins)


def test_an_unknown_name_is_an_attribute_error():
    import vetime_plugins

    with pytest.raises(AttributeError, match="no attribute 'VETimePipe'"):
        _ = vetime_plugins.VETimePipe


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
import vetime_plugins.cli, vetime_plugins.pipeline, vetime_plugins.plotting.figures, vetime_plugins.thresholds
print(json.dumps([str(a) for a, b in zip(before, state()) if a != b]))
"""
    assert run_python(code) == []


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("vetime_plugins.config", ["VETimeConfig"]),
        ("vetime_plugins.imaging", ["series_to_image", "image_to_series"]),
        ("vetime_plugins.retrieval", ["RetrievalConfig", "retrieval_distances", "retrieval_score"]),
        ("vetime_plugins.leaderboard.metrics", ["evaluate", "vus_pr"]),
        ("vetime_plugins.leaderboard.detectors", ["get", "names", "register"]),
        ("vetime_plugins.plotting", ["plot_scores", "plot_explanation", "save_figure"]),
        ("vetime_plugins.cli", ["main"]),
    ],
)
def test_documented_paths_go_on_working(module, names):
    assert run_python(f"from {module} import {', '.join(names)}; print(1)") == 1
