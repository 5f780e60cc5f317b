"""A worse anomaly of one kind gets a higher score."""

from __future__ import annotations

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


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("base", ["noise", "cycle"])
@pytest.mark.parametrize("kind", ["spike", "level shift", "dip"])
def test_larger_is_worse(kind: str, base: str, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=1200)
    calm = noise + (8 * np.sin(2 * np.pi * np.arange(1200) / 48) if base == "cycle" else 0)
    pipeline = VETimePipeline.from_pretrained("small", device="cpu")
    peaks = []
    for magnitude in MAGNITUDES:
        series = calm.copy()
        where = disturb(series, kind, magnitude)
        peaks.append(pipeline.score(series)[where].max())
    if kind == "spike":
        assert (np.diff(peaks) > 0).all()
    else:
        # What lasts becomes a part of what is usual as it grows: now and then a step falls back a little.
        assert spearmanr(MAGNITUDES, peaks).statistic >= 0.7
        assert peaks[-1] > peaks[0]
