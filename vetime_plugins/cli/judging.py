"""Scores and flags against labels, as ``vetime score`` and ``vetime select`` report them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vetime_plugins.cli.columns import LabelledSeries

__all__ = ["Judgement", "judge", "judge_both", "mean_judgement", "metric_lines", "show_metric"]

Metrics = dict[str, float | None]


@dataclass(frozen=True)
class Judgement:
    """Metrics by name of scores, `metrics`, and of the flags of one threshold, `at_threshold`.

    A metric that is undefined is None.
    """

    metrics: Metrics
    at_threshold: Metrics


def judge(series: LabelledSeries, scores: np.ndarray, metrics: Iterable[str] | None = None) -> Metrics | None:
    """Return metrics of scores (T,) by name, or None where there are no labels to judge by."""
    labels = series.labels
    if labels is None or labels.min() == labels.max():
        return None
    from vetime_plugins.metrics import evaluate

    found = evaluate(labels, scores, series=series.values, metrics=metrics)
    return {name: float(value) if math.isfinite(value) else None for name, value in found.items()}


def judge_both(series: LabelledSeries, scores: np.ndarray, flagged: np.ndarray) -> Judgement | None:
    """Return the metrics of scores (T,) and of flags (T,), or None where there are no labels to judge by."""
    metrics = judge(series, scores)
    if metrics is None:
        return None
    from vetime_plugins.metrics import flag_quality

    return Judgement(metrics, dict(flag_quality(series.labels, flagged).items()))


def mean_judgement(judged: Sequence[Judgement]) -> Judgement | None:
    """Return the mean of every metric over the series in which it is defined, or None of no series."""
    if not judged:
        return None
    return Judgement(_mean([one.metrics for one in judged]), _mean([one.at_threshold for one in judged]))


def _mean(found: Sequence[Metrics]) -> Metrics:
    means: Metrics = {}
    for name in found[0]:
        values = [value for one in found if (value := one[name]) is not None]
        means[name] = float(np.mean(values)) if values else None
    return means


def metric_lines(judged: Judgement, threshold: str) -> Iterator[str]:
    """Yield the metrics for a person: over all thresholds, at the best ones, and at the one shown above.

    Parameters
    ----------
    judged : Judgement
    threshold : str
        Which one was shown.
    """
    best = {name: value for name, value in judged.metrics.items() if _is_at_best_threshold(name)}
    yield from _lines({name: value for name, value in judged.metrics.items() if name not in best})
    yield "at the threshold that is best for each metric, which nobody knows without labels:"
    yield from _lines(best)
    yield f"at the threshold shown above, {threshold}:"
    yield from _lines(judged.at_threshold)


def _lines(metrics: Metrics) -> Iterator[str]:
    for name, value in metrics.items():
        yield f"  {name:<22} {show_metric(value)}"


def _is_at_best_threshold(metric: str) -> bool:
    """Tell whether a metric of `judge` is that of its best threshold and not of all."""
    return metric.endswith(("F1", "F1-T", "Precision", "Recall"))


def show_metric(value: float | None) -> str:
    """Return a metric of `judge` as a person reads it."""
    return "undefined" if value is None else f"{value:.4f}"
