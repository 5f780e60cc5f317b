"""Labels as people set them: exact for points, generous windows around what lasts or is vague."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.synthesis._random import chance, log_uniform, pick
from vetime_plugins.synthesis.series import SyntheticSeries

HABITS: dict[str, float] = {"exact": 1.5, "margin": 3.0, "share": 3.0, "aftermath": 1.0}
"""Habits of annotators and how common each is; one of them marks a whole series.

``exact`` marks what differs; ``margin`` adds 1 to 100 steps on both sides; ``share`` spreads a fixed share
of the series, 2 to 10 %, over its anomalies, each in the middle of a window, whatever its length;
``aftermath`` marks from the start of an anomaly until some time after its end.
"""

_POINT = 3  # steps; what is no longer is a point and mostly stays exact


def mark(
    series: SyntheticSeries, rng: np.random.Generator, habits: Mapping[str, float] | None = None
) -> NDArray[np.uint8]:
    """Return labels (T,) of one series as an annotator would have set them.

    Parameters
    ----------
    series : SyntheticSeries
    rng : numpy.random.Generator
    habits : mapping of str to float, optional
        Weights; by default `HABITS`.

    Returns
    -------
    ndarray of uint8, shape (T,)
        1 wherever `SyntheticSeries.labels` is, and around it; never more than half of the series unless the
        exact labels are.
    """
    total = len(series)
    labels = series.labels.copy()
    habit = pick(rng, habits or HABITS)
    if habit == "exact" or not series.kinds:
        return labels
    margin = round(log_uniform(rng, 1, max(1.0, min(100.0, total / 20))))
    share = log_uniform(rng, 0.02, 0.1)
    after = log_uniform(rng, 0.2, 2.0)
    points_too = chance(rng, 0.3)
    for anomaly in series.kinds:
        n = anomaly.stop - anomaly.start
        if n <= _POINT and not points_too:
            continue
        if habit == "margin":
            first, last = anomaly.start - margin, anomaly.stop + margin
        elif habit == "aftermath":
            first, last = anomaly.start, anomaly.stop + round(after * max(n, 8))
        else:
            width = share * total / len(series.kinds)
            slack = max(0, round(width - n))
            before = round(slack * rng.uniform(0.3, 0.7))
            first, last = anomaly.start - before, anomaly.stop + slack - before
        labels[max(0, first) : last] = 1
    return labels if labels.mean() <= 0.5 else series.labels.copy()
