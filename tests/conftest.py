"""What tests of more than one module need, and how the processes that run tests share the machine."""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

# The threads of numerical libraries spin while they wait for each other: a few processes with a thread for
# each core are many times slower than with one thread each. A library reads these when it is loaded, hence
# numpy is not imported above; processes that tests start inherit them. Who sets them outside decides.
for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "NUMBA"):
    os.environ.setdefault(f"{name}_NUM_THREADS", "1")

with suppress(ImportError):  # where one adapter alone is tested
    import hypothesis

    # A slow machine is no fault, and workers have no file in common.
    hypothesis.settings.register_profile("tests", database=None, deadline=None, print_blob=True)
    hypothesis.settings.load_profile("tests")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Count what `-n auto` means: the cores that this process may use, and no more than fill memory."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


@pytest.fixture
def wave():
    """A noisy sine of 600 steps with a bump, and its labels."""
    import numpy as np

    steps = np.arange(600)
    series = np.sin(2 * np.pi * steps / 40) + 0.05 * np.random.default_rng(0).normal(size=600)
    labels = np.zeros(600, dtype=int)
    series[400:412] += 3.0
    labels[400:412] = 1
    return series, labels
