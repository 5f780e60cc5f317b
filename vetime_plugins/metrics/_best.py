"""The result of a search for the best threshold, and the thresholds that are searched."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["N_QUANTILES", "BestF1", "pick_best", "quantile_thresholds"]

N_QUANTILES = 1500


class BestF1(NamedTuple):
    """F1 at the threshold where it is largest, with what it is made of."""

    f1: float
    precision: float
    recall: float
    threshold: float

    @classmethod
    def undefined(cls) -> BestF1:
        """Return the result for labels on which nothing is defined."""
        return cls(*[float("nan")] * 4)


def quantile_thresholds(scores: np.ndarray, quantiles: np.ndarray | None = None) -> np.ndarray:
    """Return quantiles of the scores in falling order: 1,500 evenly spaced ones unless others are given."""
    if quantiles is None:
        quantiles = np.linspace(0, 1, N_QUANTILES)
    return np.quantile(scores, quantiles)[::-1]


def pick_best(f1: np.ndarray, precision: np.ndarray, recall: np.ndarray, thresholds: np.ndarray) -> BestF1:
    """Return the best of falling thresholds (K,), the lowest of equals, as a search from below finds it."""
    best = f1.size - 1 - int(np.argmax(f1[::-1]))
    return BestF1(float(f1[best]), float(precision[best]), float(recall[best]), float(thresholds[best]))
