"""Threshold-free point-wise metrics: the areas under the ROC and the precision-recall curve."""

from __future__ import annotations

from typing import Any

import numpy as np

from vetime_plugins.metrics._inputs import as_pair, explain_undefined

__all__ = ["auc_pr", "auc_roc"]


def auc_roc(labels: Any, scores: Any) -> float:
    """Area under the ROC curve: the probability that an anomalous point outscores a normal one.

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, else 0; higher scores are more anomalous. Ties count one half.

    Returns
    -------
    float
        In [0, 1]; NaN where `explain_undefined` gives a reason.

    Raises
    ------
    InputError
        If the input is malformed.

    Examples
    --------
    >>> auc_roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    truth, values = as_pair(labels, scores)
    if explain_undefined(truth):
        return float("nan")
    true, predicted = _counts(truth, values)
    false = predicted - true
    area = np.sum(np.diff(false, prepend=0) * (true + np.concatenate(([0], true[:-1]))) / 2)
    return float(area / (true[-1] * false[-1]))


def auc_pr(labels: Any, scores: Any) -> float:
    """Average precision: the area under the precision-recall curve, as a sum of steps.

    Parameters
    ----------
    labels, scores : array-like of shape (T,)
        1 for anomalous points, else 0; higher scores are more anomalous.

    Returns
    -------
    float
        In (0, 1], the share of anomalous points for a constant score; NaN where `explain_undefined` gives a
        reason.

    Raises
    ------
    InputError
        If the input is malformed.

    Examples
    --------
    >>> round(auc_pr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    truth, values = as_pair(labels, scores)
    if explain_undefined(truth):
        return float("nan")
    true, predicted = _counts(truth, values)
    return float(np.sum(np.diff(true, prepend=0) / true[-1] * (true / predicted)))


def _counts(truth: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return true positives and predicted points at every distinct threshold, highest first."""
    order = np.argsort(-values, kind="stable")
    last = np.append(np.flatnonzero(np.diff(values[order])), values.size - 1)
    return np.cumsum(truth[order])[last], last + 1
