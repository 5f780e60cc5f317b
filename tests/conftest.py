"""What tests of more than one module need."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def wave():
    """A noisy sine of 600 steps with a bump, and its labels."""
    steps = np.arange(600)
    series = np.sin(2 * np.pi * steps / 40) + 0.05 * np.random.default_rng(0).normal(size=600)
    labels = np.zeros(600, dtype=int)
    series[400:412] += 3.0
    labels[400:412] = 1
    return series, labels
