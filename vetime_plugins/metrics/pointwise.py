"""F1 over points: plain, point-adjusted, and with recall counted in events."""

from __future__ import annotations

from typing import Any

import numpy as np

from vetime_plugins.metrics._best import BestF1, pick_best, quantile_thresholds
from vetime_plugins.metrics._inputs import as_pair, explain_undefined
from vetime_plugins.metrics._levels import accumulate, assign_levels, find_segments, first_hits

__all__ = ["event_f1", "flag_quality", "point_adjusted_f1", "standard_f1"]


def standard_f1(labels: Any, scores: Any) -> BestF1:
    """Point-wise F1 at the best of 1,500 quantile thresholds.

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, else 0; a point is predicted where ``score >= threshold``.

    Returns
    -------
    BestF1
        NaN throughout where `explain_undefined` gives a reason.

    Raises
    ------
    InputError
        If the input is malformed.

    Notes
    -----
    Thresholds that predict every point are left out. Where no other one finds an anomaly, everything is
    predicted after all, so that a constant score gets the F1 of "always anomalous".

    Examples
    --------
    >>> standard_f1([0, 0, 1, 1, 0], [1, 2, 9, 8, 3])
    BestF1(f1=1.0, precision=1.0, recall=1.0, threshold=3.0...)
    """
    truth, values = as_pair(labels, scores)
    if explain_undefined(truth):
        return BestF1.undefined()
    thresholds = quantile_thresholds(values)
    level = assign_levels(values, thresholds, strict=False)
    true = accumulate(level[truth], thresholds.size)
    predicted = accumulate(level, thresholds.size)
    f1 = np.where(predicted < truth.size, 2 * true / (truth.sum() + predicted), 0.0)
    if not f1.any():
        share = float(truth.mean())
        return BestF1(2 * share / (1 + share), share, 1.0, float(thresholds[-1]))
    return pick_best(f1, true / predicted, true / truth.sum(), thresholds)


def point_adjusted_f1(labels: Any, scores: Any) -> BestF1:
    """F1 after point adjustment: one hit anywhere in a segment counts as having found all of it.

    Reported for comparison with older work only: a random score gets a high value on long segments (Kim et
    al., AAAI 2022).

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, else 0; a point is predicted where ``score > threshold``.

    Returns
    -------
    BestF1
        Best over the quantiles 0.700, 0.701 ... 0.989; NaN where `explain_undefined` gives a reason.

    Raises
    ------
    InputError
        If the input is malformed.

    Notes
    -----
    In the evaluation code of TSB-AD and VETime the adjustment does not reach the very first point of a
    series; the same is done here, since published figures contain it.

    Examples
    --------
    >>> point_adjusted_f1([0] * 6 + [1, 1, 1, 0], [0, 0, 0, 0, 0, 0, 1, 9, 1, 0]).f1
    1.0
    """
    truth, values = as_pair(labels, scores)
    if explain_undefined(truth):
        return BestF1.undefined()
    thresholds = quantile_thresholds(values, np.arange(0.7, 0.99, 0.001))
    level = assign_levels(values, thresholds, strict=True)
    starts, stops = find_segments(truth)
    found = first_hits(level, starts, stops)
    sizes = stops - starts
    true = accumulate(found, thresholds.size, sizes.astype(np.float64))
    if truth[0]:
        true += accumulate(level[:1], thresholds.size) - accumulate(found[:1], thresholds.size)
    false = accumulate(level[~truth], thresholds.size)
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(true / (true + false))
    return pick_best(2 * true / (truth.sum() + true + false), precision, true / truth.sum(), thresholds)


def event_f1(labels: Any, scores: Any) -> BestF1:
    """Composite F1: precision over points, recall over events.

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, a run of which is an event, else 0; predicted is ``score > threshold``.

    Returns
    -------
    BestF1
        Best over 1,500 quantiles; NaN where `explain_undefined` gives a reason. `recall` is the share of
        events with at least one predicted point.

    Raises
    ------
    InputError
        If the input is malformed.

    Notes
    -----
    Garg et al., "An Evaluation of Anomaly Detection and Diagnosis in Multivariate Time Series" (2021).
    Unlike point adjustment it does not reward false positives inside what has been found already. Quantiles
    rather than values evenly spaced between the extremes, so that rescaling a score changes nothing.

    Examples
    --------
    >>> event_f1([0, 1, 1, 1, 0, 0, 1, 0], [0, 9, 0, 0, 0, 0, 8, 0]).f1
    1.0
    """
    truth, values = as_pair(labels, scores)
    if explain_undefined(truth):
        return BestF1.undefined()
    thresholds = quantile_thresholds(values)
    level = assign_levels(values, thresholds, strict=True)
    starts, stops = find_segments(truth)
    recall = accumulate(first_hits(level, starts, stops), thresholds.size) / starts.size
    true = accumulate(level[truth], thresholds.size)
    predicted = accumulate(level, thresholds.size)
    with np.errstate(invalid="ignore"):
        precision = np.nan_to_num(true / predicted)
        f1 = np.nan_to_num(2 * precision * recall / (precision + recall))
    return pick_best(f1, precision, recall, thresholds)


def flag_quality(labels: Any, flagged: Any) -> dict[str, float]:
    """Precision, recall and F1 of flags, which were made by one threshold.

    Parameters
    ----------
    labels, flagged : array-like of shape (T,)
        1 for anomalous and for flagged points, else 0.

    Returns
    -------
    dict of str to float
        ``Standard-F1``, ``Standard-Precision`` and ``Standard-Recall`` over points; ``Event-Recall``, the
        share of events with at least one flagged point, and ``Event-F1`` of it and the precision over points.
        NaN throughout where `explain_undefined` gives a reason, precision 0 where nothing is flagged.

    Raises
    ------
    InputError
        If the input is malformed.

    Examples
    --------
    >>> flag_quality([0, 1, 1, 0, 1, 0], [0, 0, 1, 0, 0, 0])["Event-Recall"]
    0.5
    """
    truth, values = as_pair(labels, flagged)
    names = ("Standard-F1", "Standard-Precision", "Standard-Recall", "Event-F1", "Event-Recall")
    if explain_undefined(truth):
        return dict.fromkeys(names, float("nan"))
    chosen = values > 0
    starts, stops = find_segments(truth)
    before = np.concatenate(([0], np.cumsum(chosen)))
    precision = float(truth[chosen].mean()) if chosen.any() else 0.0
    recall = float(chosen[truth].mean())
    events = float((before[stops] > before[starts]).mean())
    f1s = [2 * precision * part / (precision + part) if precision > 0 else 0.0 for part in (recall, events)]
    return dict(zip(names, (f1s[0], precision, recall, f1s[1], events), strict=True))
