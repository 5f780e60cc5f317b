"""VETime in Darts: on a series itself, behind a forecast, behind a filter.

Run with ``python examples/darts_anomaly_model.py``; needs ``pip install "vetime-plugins[darts]"``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from darts import TimeSeries
from darts.ad import FilteringAnomalyModel, ForecastingAnomalyModel
from darts.ad.aggregators import OrAggregator
from darts.ad.scorers import NormScorer
from darts.models import LinearRegressionModel, MovingAverageFilter

from vetime_plugins.adapters.darts import VETimeScorer

DAY = 96  # quarters of an hour
TRAIN_DAYS, TEST_DAYS = 14, 7


def make_plant(rng: np.random.Generator) -> tuple[TimeSeries, TimeSeries]:
    """Return power and temperature of three weeks, and where they are anomalous."""
    n = DAY * (TRAIN_DAYS + TEST_DAYS)
    day = 2 * np.pi * np.arange(n) / DAY
    power = np.clip(np.sin(day), 0, None) + 0.03 * rng.normal(size=n)
    temperature = 20 + 5 * np.sin(day - 0.6) + 0.3 * rng.normal(size=n)
    truth = np.zeros((n, 2))
    for component, start, length in ((0, 16.3, 8), (1, 18.1, 20), (0, 19.25, 30)):
        truth[int(start * DAY) : int(start * DAY) + length, component] = 1
    power = np.where(truth[:, 0] == 1, 0.2, power)
    temperature = temperature + 4 * truth[:, 1]
    times = pd.date_range("2024-06-01", periods=n, freq="15min")
    names = ["power", "temperature"]
    series = TimeSeries.from_times_and_values(times, np.column_stack([power, temperature]), columns=names)
    return series, TimeSeries.from_times_and_values(times, truth, columns=names)


def main() -> None:
    """Score the last week in three ways and print how well the anomalies are ranked and found."""
    series, truth = make_plant(np.random.default_rng(0))
    cut = DAY * TRAIN_DAYS
    train, test = series[:cut], series[cut:]
    train_truth, test_truth = truth[:cut], truth[cut:]
    assert train_truth.values().sum() == 0

    scorer = VETimeScorer(component_wise=True, contamination=0.05)
    print(
        "zero-shot, AUC-PR of power and temperature:", scorer.eval_metric(test_truth, test, metric="AUC_PR")
    )

    scorer.fit(train)
    print(
        "with two weeks of reference data:          ", scorer.eval_metric(test_truth, test, metric="AUC_PR")
    )

    scores = scorer.score(test)
    alarms = OrAggregator().predict(scorer.detector(scores).detect(scores))
    expected = OrAggregator().predict(test_truth)
    hits = (alarms.values() * expected.values()).sum()
    print(f"alarms at the 5 % highest scores of each: {int(alarms.values().sum())} points,", end=" ")
    print(f"{int(hits)} of them among the {int(expected.values().sum())} anomalous ones")

    # One scorer looks at the residuals with the network, the other takes their size for the score.
    scorers = [VETimeScorer(component_wise=True), NormScorer(component_wise=True)]
    forecaster = LinearRegressionModel(lags=DAY)
    forecaster.fit(train)
    forecasting = ForecastingAnomalyModel(forecaster, scorers)
    warm_up = series[cut - DAY :]
    values = forecasting.eval_metric(test_truth, warm_up, metric="AUC_PR", start=DAY, start_format="position")
    print("behind a linear forecast:", values)

    filtering = FilteringAnomalyModel(MovingAverageFilter(9, centered=True), scorers)
    print("behind a moving average:", filtering.eval_metric(test_truth, test, metric="AUC_PR"))


if __name__ == "__main__":
    main()
