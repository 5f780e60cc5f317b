"""Series for the tests of the Merlion adapter, and what the pipeline says of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from merlion.utils import TimeSeries

from vetime_plugins.pipeline import cached_pipeline

N, SPLIT = 400, 200
NAME = "vetime_plugins.adapters.merlion:VETimeDetector"


def frame(n_variables: int = 1, n: int = N, freq: str = "5min", seed: int = 0) -> pd.DataFrame:
    """Noisy sines with a burst in each half."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None]
    values = np.sin(2 * np.pi * (t + 3 * np.arange(n_variables)) / 25)
    values += 0.1 * rng.standard_normal((n, n_variables))
    values[n // 4 : n // 4 + 5] += 3
    values[3 * n // 4 : 3 * n // 4 + 8, 0] -= 4
    columns = [f"v{i}" for i in range(n_variables)][::-1]
    index = pd.date_range("2024-03-01", periods=n, freq=freq, name="time")
    return pd.DataFrame(values, index=index, columns=columns)


def series(**kwargs) -> TimeSeries:
    return TimeSeries.from_pd(frame(**kwargs))


def labels() -> TimeSeries:
    truth = pd.DataFrame({"label": np.zeros(N)}, index=frame().index)
    truth.iloc[N // 4 : N // 4 + 5] = truth.iloc[3 * N // 4 : 3 * N // 4 + 8] = 1
    return TimeSeries.from_pd(truth)


def values_of(scores: TimeSeries) -> np.ndarray:
    return scores.to_pd().to_numpy()[:, 0]


def bare(values, **kwargs) -> np.ndarray:
    return cached_pipeline("small").score(np.asarray(values, dtype=float), **kwargs)
