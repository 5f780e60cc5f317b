"""The Darts adapter where its users put scorers: anomaly models, detectors, aggregators."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("darts")

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from darts import metrics
from darts.ad import FilteringAnomalyModel, ForecastingAnomalyModel
from darts.ad.aggregators import AndAggregator, EnsembleSklearnAggregator, OrAggregator
from darts.ad.detectors import IQRDetector, QuantileDetector
from darts.ad.scorers import KMeansScorer, NormScorer
from darts.models import LinearRegressionModel, MovingAverageFilter
from sklearn.ensemble import GradientBoostingClassifier

from tests.adapters._darts import LENGTH, SPIKE, make_anomalies, make_series, with_spike
from vetime_plugins.adapters.darts import VETimeScorer


class TestAnomalyModels:
    @pytest.mark.parametrize("component_wise", [False, True])
    def test_filtering(self, component_wise):
        model = FilteringAnomalyModel(
            MovingAverageFilter(9, centered=True),
            [VETimeScorer(component_wise=component_wise), NormScorer(component_wise=component_wise)],
        )
        test = with_spike(make_series(2, seed=1))
        zero_shot, norm = model.score(test)
        model.fit(make_series(2))
        fitted, _ = model.score(test)
        for scores in (zero_shot, fitted):
            assert scores.time_index.equals(test.time_index)
            assert scores.width == norm.width
            assert 1 - scores.values()[SPIKE].max() < 0.01 * np.median(1 - scores.values())
        values = model.eval_metric(make_anomalies(2 if component_wise else 1), test, metric="AUC_ROC")
        assert np.min(values["VETimeScorer (weights=small)_w=1"]) > 0.9

    @pytest.mark.parametrize("width", [1, 2])
    def test_forecasting(self, width):
        train, test = make_series(width), with_spike(make_series(width, seed=1))
        model = ForecastingAnomalyModel(LinearRegressionModel(lags=24), VETimeScorer(diff_fn=metrics.err))
        model.fit(train, allow_model_training=True, start=0.1)
        scores, forecast = model.score(test, start=24, start_format="position", return_model_prediction=True)
        assert scores.time_index.equals(test.time_index[24:])
        assert scores.time_index.equals(forecast.time_index)
        assert model.scorers[0].width_trained_on == width
        values = model.eval_metric(make_anomalies(), test, start=24, start_format="position")
        assert values["VETimeScorer (weights=small)_w=1"] > 0.9

    def test_forecasting_without_fitting_the_scorer(self):
        model = LinearRegressionModel(lags=24)
        model.fit(make_series())
        anomaly_model = ForecastingAnomalyModel(model, VETimeScorer())
        series = [with_spike(make_series(seed=1)), make_series(length=100, seed=2)]
        scores = anomaly_model.score(series, start=30, start_format="position")
        assert [len(one[0]) for one in scores] == [LENGTH - 30, 70]
        assert anomaly_model.scorers[0].reference_ is None

    @pytest.mark.parametrize("component_wise", [False, True])
    def test_plots(self, component_wise):
        plt.close("all")  # of other tests
        test = with_spike(make_series(2))
        anomalies = make_anomalies(2 if component_wise else 1)
        scorer = VETimeScorer(component_wise=component_wise)
        scorer.show_anomalies(test, anomalies=anomalies, metric="AUC_ROC", component_wise=component_wise)
        scorer.show_anomalies_from_prediction(test, make_series(2), component_wise=component_wise)
        model = FilteringAnomalyModel(MovingAverageFilter(9), scorer)
        model.show_anomalies(test, anomalies=anomalies, metric="AUC_PR", component_wise=component_wise)
        figures = [plt.figure(number) for number in plt.get_fignums()]
        labels = {
            text.get_text() for figure in figures for axes in figure.axes for text in axes.get_legend().texts
        }
        plt.close("all")
        assert len(figures) == 3
        assert any("VETimeScorer (weights=small)" in label for label in labels)


class TestDetectorsAndAggregators:
    def make_flags(self):
        train, test = make_series(3), with_spike(make_series(3, seed=1))
        scorer = VETimeScorer(component_wise=True).fit(train)
        scores = scorer.score(test)
        quantile = QuantileDetector(high_quantile=0.99).fit_detect(scores)
        # Where nothing happens scores are uniform in [0, 1]: three interquartile ranges would end beyond 1.
        usual, rare = (one.map(lambda x: -np.log10(1 - x)) for one in (scorer.score(train), scores))
        iqr = IQRDetector(scale=3.0).fit(usual).detect(rare)
        return quantile, iqr, scorer.detector().detect(scores)

    def test_detectors_find_the_spike_in_each_component(self):
        *shares, auto = self.make_flags()
        for flags in shares:
            assert (flags.values()[SPIKE].mean(axis=0) > flags.values().mean(axis=0)).all()
        assert auto.values()[SPIKE].any()  # quiet elsewhere; chance alarms of a fit may raise it over one
        assert auto.values().sum() == auto.values()[SPIKE].sum()

    def test_and_or_aggregators(self):
        quantile, *_ = self.make_flags()
        both, either = AndAggregator().predict(quantile), OrAggregator().predict(quantile)
        assert both.width == either.width == 1
        assert 0 < both.values().sum() <= either.values().sum()
        assert either.values()[SPIKE].any()
        assert OrAggregator().eval_metric(make_anomalies(), quantile, metric="recall") >= 0.5

    def test_ensemble_aggregator(self):
        flags = [
            one.with_columns_renamed(one.components.tolist(), [f"{i}_{c}" for c in one.components])
            for i, one in enumerate(self.make_flags())
        ]
        stacked = flags[0].stack(flags[1]).stack(flags[2])
        aggregator = EnsembleSklearnAggregator(GradientBoostingClassifier(n_estimators=50, random_state=0))
        aggregator.fit(make_anomalies(), stacked)
        assert aggregator.eval_metric(make_anomalies(), stacked, metric="f1") > 0.5

    def test_joint_and_component_scores_of_several_scorers_aggregate(self):
        test = with_spike(make_series(2))
        scorers = [VETimeScorer(), VETimeScorer(component_wise=True), KMeansScorer(k=3, window=1)]
        flags = [
            QuantileDetector(high_quantile=0.98).fit_detect(scorer.fit(test).score(test))
            for scorer in scorers
        ]
        assert OrAggregator().predict(flags[0].stack(flags[1]).stack(flags[2])).values()[SPIKE].any()
