"""Compare VETime with Merlion's own detectors under a retraining schedule.

Run with ``python examples/merlion_evaluator.py``; needs ``pip install "vetime-plugins[merlion]"``.
"""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
from merlion.evaluate.anomaly import TSADEvaluator, TSADEvaluatorConfig, TSADMetric
from merlion.models.factory import ModelFactory
from merlion.utils import TimeSeries

import vetime_plugins.adapters.merlion  # noqa: F401 - registers "VETimeDetector" with the factory

METRICS = [TSADMetric.PointwiseF1, TSADMetric.F1, TSADMetric.Precision, TSADMetric.Recall]
MODELS = {
    "VETimeDetector": {"threshold": "pot"},
    "StatThreshold": {"target_seq_index": 0, "threshold": {"name": "Threshold", "alm_threshold": 3}},
    "SpectralResidual": {"target_seq_index": 0, "threshold": {"name": "Threshold", "alm_threshold": 3}},
}


def web_traffic(days: int = 21) -> tuple[TimeSeries, TimeSeries]:
    """Return hourly traffic of three weeks and its labels: an outage, a spike and a flat day."""
    rng = np.random.default_rng(0)
    hour = np.arange(24 * days)
    traffic = (
        10
        + 3 * np.sin(2 * np.pi * hour / 24)
        + np.cos(2 * np.pi * hour / 168)
        + 0.3 * rng.normal(size=len(hour))
    )
    label = np.zeros(len(hour))
    for start, length, values in ((340, 6, 2.0), (401, 2, 19.0), (455, 20, 10.5)):
        traffic[start : start + length] = values + 0.3 * rng.normal(size=length)
        label[start : start + length] = 1
    index = pd.date_range("2024-03-04", periods=len(hour), freq="h")
    series = pd.DataFrame({"traffic": traffic}, index=index)
    return TimeSeries.from_pd(series), TimeSeries.from_pd(pd.DataFrame({"label": label}, index=index))


def main() -> None:
    """Score the last week, re-training every three days, and print one line per detector."""
    logging.disable(logging.WARNING)  # SpectralResidual announces its resampling at every call
    series, labels = web_traffic()
    start = series.t0 + 14 * 24 * 3600
    train, test = series.bisect(start)
    truth = labels.bisect(start)[1]
    schedule = TSADEvaluatorConfig(cadence="6h", retrain_freq="3d")
    print(f"{'detector':<18}" + "".join(f"{metric.name:>13}" for metric in METRICS))
    for name, parameters in MODELS.items():
        evaluator = TSADEvaluator(ModelFactory.create(name, **parameters), schedule)
        _, predicted = evaluator.get_predict(train_vals=train, test_vals=test)
        values = [evaluator.evaluate(truth, predicted, metric=metric) for metric in METRICS]
        print(f"{name:<18}" + "".join(f"{value:>13.2f}" for value in values))


if __name__ == "__main__":
    main()
