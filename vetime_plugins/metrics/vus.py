"""Volume under the surface: AUC-ROC and AUC-PR over softened labels, averaged over how soft they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from vetime_plugins.metrics._inputs import as_buffer, as_pair, explain_undefined
from vetime_plugins.metrics._levels import assign_levels, find_segments, first_hits

__all__ = ["vus", "vus_pr", "vus_roc"]

_N_THRESHOLDS = 250


def vus(labels: Any, scores: Any, buffer: int) -> tuple[float, float]:
    """Compute both volumes under the surface.

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, else 0; higher scores are more anomalous. Only their order matters.
    buffer : int
        Largest window w, in points; the surface has the windows 0 to `buffer`.

    Returns
    -------
    roc, pr : float
        VUS-ROC and VUS-PR; NaN where `explain_undefined` gives a reason.

    Raises
    ------
    InputError
        If the input is malformed.

    Notes
    -----
    Paparrizos et al., "Volume Under the Surface" (VLDB 2022), in the form that the TSB-AD benchmark uses:
    250 thresholds at equally spaced ranks; for window w every label segment reaches w // 2 points further
    on both sides, where a point at distance d counts ``sqrt(1 - d / w)``, capped at 1; recall is multiplied
    by the share of (merged) widened segments that are touched.

    Three observations make it O(T + buffer * (250 * buffer + number of segments)) instead of O(250 * buffer
    * T). Predictions are nested, so sums over predicted points are histograms over levels. The weight of a
    point depends on its distance to the nearest segment only, hence one histogram over (distance, level)
    serves all windows. And since ``sqrt(1 - d / w) > 1 / 2`` wherever it applies, a point within reach of
    two segments always has weight 1.

    Examples
    --------
    >>> roc, pr = vus([0, 0, 0, 1, 1, 0, 0, 0], [0, 3, 1, 5, 2, 2, 0, 0], buffer=2)
    >>> round(roc, 4), round(pr, 4)
    (0.8837, 0.7795)
    """
    truth, values = as_pair(labels, scores)
    width = as_buffer(buffer)
    if explain_undefined(truth):
        return float("nan"), float("nan")

    n_points = truth.size
    ranks = np.linspace(0, n_points - 1, _N_THRESHOLDS).astype(int)
    level = assign_levels(values, np.sort(values)[::-1][ranks], strict=False)
    predicted = np.cumsum(np.bincount(level, minlength=_N_THRESHOLDS)).astype(np.float64)
    inside = np.cumsum(np.bincount(level[truth], minlength=_N_THRESHOLDS)).astype(np.float64)

    outside = _credit_outside(truth, level, width)  # (W, K)
    touched = _touched_share(truth, level, width)[np.arange(width + 1) // 2]  # (W, K)
    true = inside + outside
    positives = truth.sum() + outside / 2
    recall = np.minimum(true / positives, 1) * touched
    precision = true / predicted
    false_rate = (predicted - true) / (n_points - positives)

    corner = np.ones((width + 1, 1))
    tpr = np.hstack((0 * corner, recall, corner))
    fpr = np.hstack((0 * corner, false_rate, corner))
    roc = np.sum(np.diff(fpr) * (tpr[:, 1:] + tpr[:, :-1]) / 2, axis=1)
    pr = np.sum(np.diff(tpr[:, :-1]) * precision, axis=1)
    return float(roc.mean()), float(pr.mean())


def vus_roc(labels: Any, scores: Any, buffer: int) -> float:
    """VUS-ROC alone.

    Parameters
    ----------
    labels : array-like of shape (T,)
    scores : array-like of shape (T,)
    buffer : int
        Steps, as in `vus`.

    Returns
    -------
    float
        In [0, 1]; NaN where it is not defined.

    Raises
    ------
    InputError
        As in `vus`.

    Examples
    --------
    >>> round(vus_roc([0, 1, 0, 0], [0, 9, 3, 0], buffer=0), 4)
    1.0
    """
    return vus(labels, scores, buffer)[0]


def vus_pr(labels: Any, scores: Any, buffer: int) -> float:
    """VUS-PR alone, which ranks the TSB-AD leaderboard.

    Parameters
    ----------
    labels : array-like of shape (T,)
    scores : array-like of shape (T,)
    buffer : int
        Steps, as in `vus`.

    Returns
    -------
    float
        In [0, 1]; NaN where it is not defined.

    Raises
    ------
    InputError
        As in `vus`.

    Examples
    --------
    >>> round(vus_pr([0, 1, 0, 0], [0, 9, 3, 0], buffer=0), 4)
    1.0
    """
    return vus(labels, scores, buffer)[1]


def _credit_outside(truth: np.ndarray, level: np.ndarray, width: int) -> np.ndarray:
    """Sum of softened labels over predicted points outside the segments, (width + 1, K)."""
    reach = width // 2
    nearest, second = _two_nearest(truth)
    near = np.flatnonzero(~truth & (nearest <= reach))
    nearest, second, near_level = nearest[near], second[near], level[near]

    def histogram(points: np.ndarray) -> np.ndarray:
        flat = nearest[points] * _N_THRESHOLDS + near_level[points]
        counts = np.bincount(flat, minlength=(reach + 1) * _N_THRESHOLDS)
        return counts.reshape(reach + 1, _N_THRESHOLDS).astype(np.float64)

    single = histogram(np.arange(near.size))  # (distance, level): points within reach of one segment so far
    double = np.zeros(_N_THRESHOLDS)  # points within reach of two
    by_second = np.argsort(second, kind="stable")
    cuts = np.searchsorted(second[by_second], np.arange(reach + 2))

    credit = np.empty((width + 1, _N_THRESHOLDS))
    for half in range(reach + 1):
        moved = by_second[cuts[half] : cuts[half + 1]]
        if moved.size:
            gone = histogram(moved)
            single -= gone
            double += gone.sum(axis=0)
        distance = np.arange(1, half + 1)
        for window in range(2 * half, min(2 * half + 1, width) + 1):
            credit[window] = np.sqrt(1 - distance / max(window, 1)) @ single[1 : half + 1] + double
    return np.cumsum(credit, axis=1)


def _two_nearest(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of every point outside to the nearest and to the second nearest segment, both (T,)."""
    starts, stops = find_segments(truth)
    far = np.iinfo(np.int64).max // 4  # no segment there: beyond any buffer, however short the series
    lasts = np.concatenate(([-far, -far], stops - 1))
    firsts = np.concatenate((starts, [far, far]))
    points = np.arange(truth.size)
    passed = np.searchsorted(stops, points, side="right")  # number of segments left of the point
    distances = np.stack(
        (
            points - lasts[passed + 1],
            points - lasts[passed],
            firsts[passed] - points,
            firsts[passed + 1] - points,
        )
    )
    distances.partition(1, axis=0)
    return distances[0], distances[1]


def _touched_share(truth: np.ndarray, level: np.ndarray, width: int) -> np.ndarray:
    """Share of widened segments that hold a predicted point, (width // 2 + 1, K)."""
    starts, stops = find_segments(truth)
    first, last = starts, stops - 1
    lowest = first_hits(level, starts, stops)
    gaps = first[1:] - last[:-1]
    share = np.empty((width // 2 + 1, _N_THRESHOLDS))
    for half in range(width // 2 + 1):
        left, right = np.maximum(first - half, 0), np.minimum(last + half, level.size - 1)
        lowest = np.minimum(lowest, np.minimum(level[left], level[right]))
        heads = np.concatenate(([0], np.flatnonzero(gaps > 2 * half) + 1))  # those that meet are one
        merged = np.minimum.reduceat(lowest, heads)
        share[half] = np.cumsum(np.bincount(merged, minlength=_N_THRESHOLDS)) / heads.size
    return share
