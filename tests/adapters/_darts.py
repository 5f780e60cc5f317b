"""Series for the tests of the Darts adapter."""

from __future__ import annotations

import numpy as np
import pandas as pd
from darts import TimeSeries

LENGTH = 400
SPIKE = slice(300, 304)


def make_values(width=1, length=LENGTH, seed=0):
    steps = np.arange(length)[:, None] + 7 * np.arange(width)
    return np.sin(2 * np.pi * steps / 24) + 0.05 * np.random.default_rng(seed).normal(size=(length, width))


def make_series(width=1, length=LENGTH, *, seed=0, dtype=np.float64, **attributes):
    return TimeSeries.from_times_and_values(
        pd.date_range("2024-03-01", periods=length, freq="h", name="when"),
        make_values(width, length, seed).astype(dtype),
        columns=[f"sensor_{i}" for i in range(width)],
        **attributes,
    )


def with_spike(series, component=None):
    values = series.values()
    values[SPIKE, slice(None) if component is None else component] += 4
    return series.with_values(values)


def make_anomalies(width=1):
    values = np.zeros((LENGTH, width))
    values[SPIKE] = 1
    return make_series(width).with_values(values)
