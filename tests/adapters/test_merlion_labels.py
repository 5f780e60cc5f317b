"""The Merlion adapter: from scores to labels, and transforms before it."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("merlion")

from merlion.evaluate.anomaly import TSADMetric
from merlion.post_process.threshold import AggregateAlarms, Threshold
from merlion.transform.moving_average import MovingAverage
from merlion.transform.normalize import MeanVarNormalize
from merlion.transform.resample import Shingle, TemporalResample
from merlion.transform.sequence import TransformSequence
from merlion.utils import TimeSeries

from tests.adapters._merlion import SPLIT, N, bare, frame, labels, series, values_of
from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig
from vetime_plugins.errors import InputError
from vetime_plugins.thresholds import find_threshold

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:merlion.*")


class TestLabels:
    @pytest.mark.filterwarnings(
        "ignore:the '(std|pot)' threshold:UserWarning", "ignore:contamination=:UserWarning"
    )
    @pytest.mark.parametrize("rule", ["auto", "quantile", "std", "pot", 0.4])
    @pytest.mark.parametrize("calibrated", [True, False])
    def test_labels_are_the_raw_scores_above_the_rules_threshold(self, rule, calibrated):
        ts = series()
        config = VETimeDetectorConfig(threshold=rule, contamination=0.05, enable_calibrator=calibrated)
        model = VETimeDetector(config)
        trained = values_of(model.train(ts[:SPLIT]))
        threshold = find_threshold(trained, rule, contamination=0.05)
        assert model.threshold.alm_threshold == threshold
        scores = values_of(model.get_anomaly_score(ts[SPLIT:], ts[:SPLIT]))
        labelled = values_of(model.get_anomaly_label(ts[SPLIT:], ts[:SPLIT]))
        np.testing.assert_array_equal(labelled != 0, scores > threshold)

    def test_labels_carry_the_calibrated_score(self):
        ts = series()
        model = VETimeDetector(VETimeDetectorConfig(threshold="quantile"))
        trained = model.train(ts)
        labelled = values_of(model.get_anomaly_label(ts))
        z_scores = values_of(model.calibrator(trained))
        assert (labelled != 0).sum() == N // 10
        np.testing.assert_array_equal(labelled[labelled != 0], z_scores[labelled != 0])
        model.config.enable_threshold = False
        np.testing.assert_array_equal(values_of(model.get_anomaly_label(ts)), z_scores)

    def test_fixed_score_below_all_training_scores_still_labels(self):
        ts = series()
        model = VETimeDetector(VETimeDetectorConfig(threshold=1e-12))
        scores = values_of(model.train(ts))
        np.testing.assert_array_equal(values_of(model.get_anomaly_label(ts)) != 0, scores > 1e-12)

    def test_threshold_labels_every_point_and_aggregate_alarms_one(self):
        ts = series()
        every = VETimeDetector(VETimeDetectorConfig(threshold=Threshold(alm_threshold=1.5)))
        one = VETimeDetector(
            VETimeDetectorConfig(threshold=AggregateAlarms(1.5, alm_suppress_minutes=24 * 60))
        )
        for model in (every, one):
            model.train(ts)
        n_every = (values_of(every.get_anomaly_label(ts)) != 0).sum()
        n_one = (values_of(one.get_anomaly_label(ts)) != 0).sum()
        assert 1 <= n_one <= 2 < n_every
        z_scores = values_of(every.calibrator(every.get_anomaly_score(ts)))
        assert n_every == (np.abs(z_scores) >= 1.5).sum()

    def test_zero_shot_labels_need_a_number(self):
        ts = series()
        labelled = values_of(VETimeDetector(VETimeDetectorConfig(threshold=0.3)).get_anomaly_label(ts))
        np.testing.assert_array_equal(labelled != 0, bare(frame()) > 0.3)
        with pytest.raises(InputError, match=r"train\(.*threshold=0.5"):
            VETimeDetector().get_anomaly_label(ts)

    def test_given_labels_tune_the_threshold(self):
        ts, truth = series(), labels()
        model = VETimeDetector(VETimeDetectorConfig(threshold="quantile", contamination=0.4))
        scores = model.train(
            ts, anomaly_labels=truth, post_rule_train_config={"metric": TSADMetric.PointwiseF1}
        )
        unsupervised = VETimeDetector(VETimeDetectorConfig(threshold="quantile", contamination=0.4))
        unsupervised.train(ts)
        f1 = TSADMetric.PointwiseF1.value(truth, model.post_rule(scores))
        assert f1 > TSADMetric.PointwiseF1.value(truth, unsupervised.post_rule(scores))

    def test_quantile_in_the_post_rule_config_overrides_the_rule(self):
        model = VETimeDetector(VETimeDetectorConfig(enable_calibrator=False))
        scores = values_of(model.train(series(), post_rule_train_config={"unsup_quantile": 0.75}))
        assert model.threshold.alm_threshold == np.percentile(scores, 75)

    def test_training_again_sets_the_threshold_again(self):
        model = VETimeDetector()
        model.train(series())
        calm = TimeSeries.from_pd(frame()[110:290])
        scores = values_of(model.train(calm))
        assert model.threshold.alm_threshold == find_threshold(scores, "auto")

    def test_constant_series_has_no_anomaly(self):
        flat = TimeSeries.from_pd(frame() * 0 + 7)
        model = VETimeDetector()
        model.train(flat)
        assert not values_of(model.get_anomaly_label(flat)).any()

    def test_figures(self):
        import matplotlib as mpl

        with mpl.rc_context({"backend": "agg"}):
            model = VETimeDetector()
            ts = series()
            model.train(ts[:SPLIT])
            _, axes = model.plot_anomaly(ts[SPLIT:], ts[:SPLIT], plot_time_series_prev=True)
            assert axes.get_title().startswith("VETimeDetector")


class TestTransforms:
    @pytest.mark.parametrize(
        "transform",
        [
            MeanVarNormalize(),
            MovingAverage(n_steps=5),
            TemporalResample(granularity="15min"),
            TemporalResample(),
            Shingle(size=4),
            TransformSequence([TemporalResample(granularity="10min"), MeanVarNormalize()]),
            {"name": "MeanVarNormalize"},
        ],
        ids=lambda transform: type(transform).__name__,
    )
    @pytest.mark.parametrize("n_variables", [1, 2])
    @pytest.mark.filterwarnings("ignore:series looks like a lag matrix")  # Shingle makes one
    def test_scores_follow_the_transformed_rows(self, transform, n_variables):
        ts = series(n_variables=n_variables)
        model = VETimeDetector(VETimeDetectorConfig(transform=copy.deepcopy(transform)))
        trained = model.train(ts)
        seen = model.transform(ts).to_pd()
        pd.testing.assert_index_equal(trained.to_pd().index, seen.index, check_names=False, exact="equiv")
        np.testing.assert_allclose(values_of(trained), bare(seen), atol=1e-9)
        for given in ((ts,), (ts[SPLIT:], ts[:SPLIT])):
            labelled = model.get_anomaly_label(*given).to_pd()
            assert labelled.index[0] >= given[0].to_pd().index[0]
            assert labelled.index[-1] == seen.index[-1]

    def test_resampling_fills_the_gaps(self):
        data = frame().drop(frame().index[60:90])
        model = VETimeDetector(VETimeDetectorConfig(transform=TemporalResample(granularity="5min")))
        trained = model.train(TimeSeries.from_pd(data)).to_pd()
        pd.testing.assert_index_equal(trained.index, frame().index, check_names=False, exact="equiv")
