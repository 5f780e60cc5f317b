"""Does the highest score around an anomaly lie on it: what metrics with a tolerance do not show."""

from __future__ import annotations

from typing import Any

import numpy as np

from vetime_plugins.metrics._inputs import as_buffer, as_pair, explain_undefined
from vetime_plugins.metrics._levels import find_segments

__all__ = ["exact_peak_rate"]


def exact_peak_rate(labels: Any, scores: Any, buffer: int) -> float:
    """Share of anomalies whose highest score lies inside the labelled points.

    The surroundings of an anomaly are `buffer` points on both sides, at least one, and never more than half
    of the way to the next anomaly. A point outside that is as high as the highest inside counts against it.

    Parameters
    ----------
    labels : array-like of shape (T,)
        1 for anomalous points, 0 for normal ones; an anomaly is a run of ones.
    scores : array-like of shape (T,)
        Higher means more anomalous. Only their order matters.
    buffer : int
        Reach of the surroundings, in points.

    Returns
    -------
    float
        NaN where `explain_undefined` gives a reason.

    Raises
    ------
    InputError
        If the input is malformed.

    Examples
    --------
    >>> exact_peak_rate([0, 0, 1, 0, 0, 0, 1, 0], [0, 3, 9, 3, 0, 1, 2, 5], buffer=2)
    0.5
    """
    truth, values = as_pair(labels, scores)
    reach = max(1, as_buffer(buffer))
    if explain_undefined(truth):
        return float("nan")
    starts, stops = find_segments(truth)
    middles = (stops[:-1] + starts[1:]) // 2
    first = np.maximum(starts - reach, np.concatenate(([0], middles)))
    last = np.minimum(stops + reach, np.concatenate((middles, [truth.size])))
    # An anomaly is part of its surroundings, so that none of these spans is empty.
    spans = np.column_stack((first, last)).ravel()
    inside, outside = (
        np.maximum.reduceat(np.append(kept, -np.inf), spans)[::2]
        for kept in (np.where(truth, values, -np.inf), np.where(truth, -np.inf, values))
    )
    return float(np.mean(inside > outside))
