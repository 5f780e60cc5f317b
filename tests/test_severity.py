"""A worse anomaly of one kind gets a higher score."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import spearmanr

from vetime_plugins import VETimePipeline

MAGNITUDES = (4.0, 6.0, 9.0, 14.0, 22.0)
"""In standard deviations of the noise."""


def disturb(values: np.ndarray, kind: str, magnitude: float) -> slice:
    """Put an anomaly into a series, in place, and return where it is."""
    if kind == "spike":
        values[700] += magnitude
        return slice(700, 701)
    if kind == "level shift":
        values[700:] += magnitude
        return slice(684, 740)
    values[700:712] -= magnitude
    return slice(700, 712)


@pytest.mark.parametrize("kind", ["spike", "level shift", "dip"])
def test_larger_is_worse(kind: str) -> None:
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    correlations = []
    for seed, height in product((0, 1), (0.0, 8.0)):
        noise = np.random.default_rng(seed).normal(size=1200)
        calm = noise + height * np.sin(2 * np.pi * np.arange(1200) / 48)
        peaks = []
        for magnitude in MAGNITUDES:
            series = calm.copy()
            where = disturb(series, kind, magnitude)
            peaks.append(pipeline.score(series)[where].max())
        assert peaks[-1] > peaks[0]
        correlations.append(spearmanr(MAGNITUDES, peaks).statistic)
    if kind == "spike":
        assert min(correlations) > 1 - 1e-9
    else:
        # What lasts becomes a part of what is usual as it grows: now and then a step falls back a little.
        assert np.mean(correlations) >= 0.6
