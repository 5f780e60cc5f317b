"""All metrics of one series in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.metrics._inputs import as_buffer, as_pair, explain_undefined
from vetime_plugins.metrics.affiliation import affiliation_f1
from vetime_plugins.metrics.pate import pate
from vetime_plugins.metrics.peaks import exact_peak_rate
from vetime_plugins.metrics.pointwise import event_f1, point_adjusted_f1, standard_f1
from vetime_plugins.metrics.ranges import range_f1
from vetime_plugins.metrics.ranking import auc_pr, auc_roc
from vetime_plugins.metrics.vus import vus
from vetime_plugins.series.period import DEFAULT_BUFFER, find_buffer

__all__ = ["METRIC_NAMES", "Evaluation", "check_metric_names", "evaluate"]

_Compute = Callable[[np.ndarray, np.ndarray, int], tuple[float, ...]]

# What is computed together: the names, and a function of labels, scores and buffer that returns their values.
_GROUPS: tuple[tuple[tuple[str, ...], _Compute], ...] = (
    (("VUS-ROC", "VUS-PR"), vus),
    (("AUC-ROC",), lambda labels, scores, _: (auc_roc(labels, scores),)),
    (("AUC-PR",), lambda labels, scores, _: (auc_pr(labels, scores),)),
    (
        ("Standard-F1", "Standard-Precision", "Standard-Recall"),
        lambda labels, scores, _: standard_f1(labels, scores)[:3],
    ),
    (
        ("Affiliation-F1", "Affiliation-Precision", "Affiliation-Recall"),
        lambda labels, scores, _: affiliation_f1(labels, scores)[:3],
    ),
    (("F1-T",), lambda labels, scores, _: range_f1(labels, scores)[:1]),
    (("PA-F1",), lambda labels, scores, _: point_adjusted_f1(labels, scores)[:1]),
    (("PATE",), lambda labels, scores, buffer: (pate(labels, scores, buffer),)),
    (("PATE-250",), lambda labels, scores, buffer: (pate(labels, scores, buffer, n_thresholds=250),)),
    (("Event-F1",), lambda labels, scores, _: event_f1(labels, scores)[:1]),
    (("Exact-Peak",), lambda labels, scores, buffer: (exact_peak_rate(labels, scores, buffer),)),
)

METRIC_NAMES: tuple[str, ...] = tuple(name for names, _ in _GROUPS for name in names)
"""Names of all metrics, in the order in which they are reported."""


class Evaluation(dict[str, float]):
    """Metric values by name, with the reason where they are undefined.

    Attributes
    ----------
    buffer : int
        The buffer that was used, in points.
    reason : str or None
        Why every value is NaN; None where they are defined.
    """

    def __init__(self, values: dict[str, float], *, buffer: int, reason: str | None) -> None:
        super().__init__(values)
        self.buffer = buffer
        self.reason = reason


def check_metric_names(metrics: str | Iterable[str] | None) -> tuple[str, ...]:
    """Return the chosen metric names in reporting order, all of them for None.

    Parameters
    ----------
    metrics : str or iterable of str, optional

    Returns
    -------
    tuple of str

    Raises
    ------
    InputError
        If a name is unknown or none is given.

    Examples
    --------
    >>> check_metric_names(["AUC-PR", "VUS-PR"])
    ('VUS-PR', 'AUC-PR')
    """
    if metrics is None:
        return METRIC_NAMES
    chosen = {metrics} if isinstance(metrics, str) else set(metrics)
    unknown = sorted(map(str, chosen - set(METRIC_NAMES)))
    if unknown or not chosen:
        got = ", ".join(unknown) if unknown else "none"
        raise InputError(f"metrics must be among {', '.join(METRIC_NAMES)}; got {got}")
    return tuple(name for name in METRIC_NAMES if name in chosen)


def evaluate(
    labels: Any,
    scores: Any,
    buffer: int | None = None,
    *,
    series: Any = None,
    metrics: str | Iterable[str] | None = None,
) -> Evaluation:
    """Compute every metric of one series.

    Parameters
    ----------
    labels : array-like of shape (T,)
        1 for anomalous points, 0 for normal ones.
    scores : array-like of shape (T,)
        Anomaly scores, any scale, higher means more anomalous.
    buffer : int, optional
        Tolerance in points of VUS and PATE. Left out, it is the period of `series` by the rule of the TSB-AD
        leaderboard (`find_buffer`), or 125 where no series is given.
    series : array-like of shape (S,) or (S, C), optional
        The series, or any stretch of it, from which to take the buffer.
    metrics : str or iterable of str, optional
        Names out of `METRIC_NAMES`; all where left out.

    Returns
    -------
    Evaluation
        A dict from name to value. Where the labels hold no anomaly, or nothing else, every value is NaN and
        `reason` says so.

    Raises
    ------
    InputError
        If the input is malformed.

    Examples
    --------
    >>> result = evaluate([0, 0, 1, 1, 0, 0], [0, 1, 7, 8, 2, 0], buffer=2, metrics=["VUS-PR", "AUC-PR"])
    >>> result["AUC-PR"]
    1.0
    >>> evaluate([0, 0, 0], [1, 2, 3], metrics="AUC-PR").reason
    'no point of the 3 is labelled anomalous, so there is nothing to detect'
    """
    truth, values = as_pair(labels, scores)
    wanted = check_metric_names(metrics)
    if buffer is not None:
        width = as_buffer(buffer)
    else:
        width = DEFAULT_BUFFER if series is None else find_buffer(series)
    reason = explain_undefined(truth)
    result: dict[str, float] = dict.fromkeys(wanted, float("nan"))
    if reason is None:
        for names, compute in _GROUPS:
            if any(name in result for name in names):
                found = dict(zip(names, compute(truth, values, width), strict=True))
                result.update({name: value for name, value in found.items() if name in result})
    return Evaluation(result, buffer=width, reason=reason)
