"""`VETimeScorer` where Darts' users use scorers, and where its own promises go beyond Darts' interface."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("darts")

import matplotlib

matplotlib.use("Agg")
from darts import TimeSeries, metrics
from darts.ad.detectors import ThresholdDetector

from tests.adapters._darts import LENGTH, SPIKE, make_series, make_values, with_spike
from vetime_plugins.adapters.darts import VETimeScorer
from vetime_plugins.errors import InputError
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.thresholds import find_threshold


class TestScores:
    @pytest.mark.parametrize("width", [1, 3])
    @pytest.mark.parametrize("readout", [None, "point", "window"])
    def test_are_those_of_the_pipeline(self, width, readout):
        series = with_spike(make_series(width))
        expected = cached_pipeline().score(series.values(), readout=readout)
        scores = VETimeScorer(readout=readout).score(series)
        np.testing.assert_allclose(scores.values()[:, 0], expected, rtol=0, atol=1e-6)
        assert 0 <= scores.values().min() <= scores.values().max() <= 1

    def test_after_fit_are_those_against_the_reference(self):
        reference, series = make_series(2, seed=1), with_spike(make_series(2))
        expected = cached_pipeline().score(series.values(), reference=reference.values())
        scores = VETimeScorer().fit(reference).score(series)
        np.testing.assert_allclose(scores.values()[:, 0], expected, rtol=0, atol=1e-6)

    def test_a_reference_matters(self):
        series = with_spike(make_series())
        fitted = VETimeScorer().fit(series)  # the spike is nothing new to it
        fresh = VETimeScorer().fit(make_series(seed=1))
        assert not np.allclose(fitted.score(series).values(), fresh.score(series).values())

    @pytest.mark.parametrize("component_wise", [False, True])
    @pytest.mark.parametrize("max_reference", [20_000, 100])
    def test_the_series_of_fit_scores_as_without_fit(self, component_wise, max_reference):
        values = with_spike(make_series(2)).values()
        values[200:210, 1] = np.nan
        series = make_series(2).with_values(values)
        scorer = VETimeScorer(component_wise=component_wise, max_reference=max_reference)
        before = scorer.score(series)
        np.testing.assert_allclose(
            scorer.fit(series).score(series).values(), before.values(), rtol=0, atol=1e-6
        )

    def test_one_of_the_series_of_fit_is_compared_with_the_others(self):
        first, second = with_spike(make_series()), make_series(length=150, seed=3)
        expected = cached_pipeline().score(first.values(), reference=second.values())
        scores = VETimeScorer().fit([first, second]).score(first)
        np.testing.assert_allclose(scores.values()[:, 0], expected, rtol=0, atol=1e-6)

    def test_of_a_component_are_its_own(self):
        calm, spiked = make_series(3), with_spike(make_series(3), component=1)
        scorer = VETimeScorer(component_wise=True)
        scores = scorer.score(spiked)
        assert list(scores.components) == ["sensor_0", "sensor_1", "sensor_2"]
        top = scores.values()[SPIKE].max(axis=0)
        assert 1 - top[1] < 0.01 * (1 - max(top[0], top[2]))  # the smaller the rarer
        for name in scores.components:
            alone = VETimeScorer().score(spiked[name])
            np.testing.assert_allclose(scores[name].values(), alone.values(), rtol=0, atol=1e-6)
        scorer.fit(calm)
        for name in scores.components:
            alone = VETimeScorer().fit(calm[name]).score(spiked[name])
            np.testing.assert_allclose(scorer.score(spiked)[name].values(), alone.values(), rtol=0, atol=1e-6)

    def test_sequences_without_fit_may_differ_in_width(self):
        series = [make_series(1), make_series(3, length=50), make_series(2, length=7)]
        scores = VETimeScorer(component_wise=True).score(series)
        assert [one.shape for one in scores] == [one.shape for one in series]

    def test_of_a_sequence_do_not_depend_on_each_other(self):
        scorer = VETimeScorer()
        series = make_series()
        alone = scorer.score(series).values()
        for company in (with_spike(make_series(seed=2)), make_series(length=17), make_series() * 1e6):
            np.testing.assert_allclose(scorer.score([company, series])[1].values(), alone, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("length", [1, 2, 3, 15, 16, 17, 33])
    @pytest.mark.parametrize("width", [1, 2])
    def test_of_short_series(self, length, width):
        series = make_series(width, length=length)
        for scores in (VETimeScorer().score(series), VETimeScorer().fit(series).score(series)):
            assert scores.time_index.equals(series.time_index)
            assert np.isfinite(scores.values()).all()

    @pytest.mark.parametrize("component_wise", [False, True])
    def test_of_gaps_are_finite(self, component_wise):
        values = make_values(2)
        values[50:60] = np.nan
        values[100, 0] = np.nan
        values[:3, 1] = np.nan
        series = make_series(2).with_values(values)
        scorer = VETimeScorer(component_wise=component_wise)
        scores = scorer.score(series)
        assert np.isfinite(scores.values()).all()
        fitted = scorer.fit(series)
        assert np.isfinite(fitted.score(make_series(2, seed=1)).values()).all()
        assert np.isfinite(fitted.threshold_).all()

    def test_of_a_constant_series_are_equal(self):
        scores = VETimeScorer().score(make_series().with_values(np.full((LENGTH, 1), 3.0)))
        assert np.ptp(scores.values()) < 1e-3

    def test_of_stochastic_series_are_those_of_the_median(self, caplog):
        noise = np.random.default_rng(0).normal(size=(LENGTH, 2, 7))
        hierarchy = {"sensor_1": ["sensor_0"]}
        samples = make_series(2, hierarchy=hierarchy).with_values(make_values(2)[:, :, None] + noise)
        median = samples.with_values(np.median(samples.all_values(), axis=2))
        scorer = VETimeScorer(component_wise=True)
        np.testing.assert_array_equal(scorer.score(samples).values(), scorer.score(median).values())
        assert list(scorer.score(samples).components) == ["sensor_0", "sensor_1"]
        assert scorer.fit(samples).threshold_ == scorer.fit(median).threshold_
        assert not caplog.records

    def test_of_float32_series_differ_by_rounding_alone(self):
        series = with_spike(make_series())
        low = VETimeScorer().score(series.astype(np.float32))
        assert low.dtype == np.float32
        one_rank = 1 / len(series)  # the bulk of the scores are ranks
        np.testing.assert_allclose(low.values(), VETimeScorer().score(series).values(), rtol=0, atol=one_rank)


class TestAttributesOfTheSeries:
    global_covariates = pd.DataFrame({"site": [7.0]})
    covariates = pd.DataFrame({"kind": [1.0, 2.0]})

    def test_stay_with_component_wise_scores(self):
        hierarchy = {"sensor_1": ["sensor_0"]}
        series = make_series(
            2, static_covariates=self.covariates, hierarchy=hierarchy, metadata={"unit": "bar"}
        )
        scores = VETimeScorer(component_wise=True).score(series)
        pd.testing.assert_frame_equal(scores.static_covariates, series.static_covariates)
        assert scores.hierarchy == hierarchy
        assert scores.metadata == {"unit": "bar"}

    def test_of_components_do_not_stay_with_a_joint_score(self):
        series = make_series(2, static_covariates=self.covariates, hierarchy={"sensor_1": ["sensor_0"]})
        scores = VETimeScorer().score(series)
        assert list(scores.components) == ["anomaly_score"]
        assert scores.static_covariates is None
        assert scores.hierarchy is None

    def test_of_the_whole_series_stay_with_a_joint_score(self):
        series = make_series(2, static_covariates=self.global_covariates, metadata={"unit": "bar"})
        scores = VETimeScorer().score(series)
        assert scores.static_covariates.to_numpy().tolist() == [[7.0]]
        assert scores.metadata == {"unit": "bar"}
        assert series.static_covariates.index.tolist() == ["global_components"]
        assert scores.time_index.name == "when"

    def test_scores_stack_with_other_series_on_the_index(self):
        series = make_series(2)
        stacked = series.stack(VETimeScorer().score(series))
        assert list(stacked.components) == ["sensor_0", "sensor_1", "anomaly_score"]


class TestThreshold:
    @pytest.mark.filterwarnings(
        "ignore:the '(std|pot)' threshold:UserWarning", "ignore:contamination=:UserWarning"
    )
    @pytest.mark.parametrize("rule", ["auto", "quantile", "std", "pot", 0.25])
    @pytest.mark.parametrize("max_reference", [20_000, 100])
    def test_follows_from_the_scores_of_the_fitted_series(self, rule, max_reference):
        series = [with_spike(make_series()), make_series(length=90, seed=2)]
        scorer = VETimeScorer(threshold=rule, contamination=0.02, max_reference=max_reference).fit(series)
        pooled = np.concatenate([one.values()[:, 0] for one in scorer.score(series)])
        expected = find_threshold(pooled, rule, contamination=0.02)
        assert scorer.threshold_ == pytest.approx(expected, abs=1e-6)

    def test_is_one_for_each_component(self):
        series = with_spike(make_series(2), component=1)
        scorer = VETimeScorer(component_wise=True, threshold="std").fit(series)
        scores = VETimeScorer(component_wise=True).score(series).values()
        assert scorer.threshold_ == pytest.approx([find_threshold(one, "std") for one in scores.T], abs=1e-6)
        assert len(scorer.detector().detect(scorer.score(series)).components) == 2

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_flags_the_expected_share_of_the_fitted_series(self, dtype):
        series = make_series(dtype=dtype)
        scorer = VETimeScorer(threshold="quantile", contamination=0.05).fit(series)
        flags = scorer.detector().detect(scorer.score(series))
        assert flags.values().sum() == 0.05 * LENGTH

    def test_detector_flags_the_spike(self):
        scorer = VETimeScorer(threshold="pot").fit(make_series())
        test = with_spike(make_series(seed=1))
        scores = scorer.score(test)
        flags = scorer.detector().detect(scores)
        assert flags.time_index.equals(test.time_index)
        np.testing.assert_array_equal(flags.values(), scores.values() > scorer.threshold_)
        assert flags.values()[SPIKE].any()

    def test_detector_without_fit(self):
        series = with_spike(make_series())
        scores = VETimeScorer().score(series)
        detector = VETimeScorer(threshold="quantile", contamination=0.01).detector(scores)
        assert isinstance(detector, ThresholdDetector)
        assert detector.high_threshold == [pytest.approx(np.quantile(scores.values(), 0.99))]
        assert detector.detect(scores).values().sum() == 0.01 * LENGTH
        assert VETimeScorer(threshold=0.4).detector().high_threshold == [0.4]
        with pytest.raises(InputError, match=r"call fit\(series\) or detector\(scores\)"):
            VETimeScorer().detector()


class TestReference:
    def test_keeps_the_latest_points_and_nothing_else(self):
        series = make_series(2)
        scorer = VETimeScorer(max_reference=100).fit(series)
        (kept,) = scorer.reference_
        np.testing.assert_array_equal(kept, series.values()[-100:])
        assert kept.base is None  # a view would hold on to all of the series

    @pytest.mark.parametrize(
        ("lengths", "limit", "expected"),
        [
            ([300, 300], 100, [50, 50]),
            ([10, 300, 40], 100, [10, 50, 40]),
            ([300, 10], 1000, [300, 10]),
            ([5, 5, 5, 5], 2, [1, 1]),
            ([30, 300, 200], 101, [30, 36, 35]),
        ],
    )
    def test_is_shared_between_the_series(self, lengths, limit, expected):
        series = [make_series(length=length, seed=length) for length in lengths]
        scorer = VETimeScorer(max_reference=limit).fit(series)
        assert [len(one) for one in scorer.reference_] == expected
        for one in scorer.reference_:
            assert any(np.array_equal(one, whole.values()[-len(one) :]) for whole in series)

    def test_a_failed_fit_leaves_the_former_one(self):
        scorer = VETimeScorer().fit(make_series())
        threshold, test = scorer.threshold_, with_spike(make_series(seed=1))
        expected = scorer.score(test).values()
        values = make_values(2)
        values[5] = np.inf
        with pytest.raises(InputError):
            scorer.fit(make_series(2).with_values(values))
        assert scorer.threshold_ == threshold
        np.testing.assert_array_equal(scorer.score(test).values(), expected)


class TestErrors:
    @pytest.mark.parametrize("method", ["fit", "score"])
    @pytest.mark.parametrize(
        ("bad", "got"),
        [
            (np.zeros(5), "got ndarray"),
            (pd.Series([1.0, 2.0]), "got Series"),
            ([np.zeros(5)], r"got list of \['ndarray'\]"),
            ([], "got list without entries"),
            (None, "got NoneType"),
            ("series", r"got str of \['str'\]"),
        ],
    )
    def test_what_is_no_series_is_named(self, method, bad, got):
        with pytest.raises(InputError, match=f"need a darts TimeSeries.*{got}.*from_values"):
            getattr(VETimeScorer(), method)(bad)

    def test_widths_are_named(self):
        scorer = VETimeScorer()
        with pytest.raises(InputError, match=r"same number of components, got \[1, 2\]"):
            scorer.fit([make_series(2), make_series(1)])
        scorer.fit(make_series(2))
        with pytest.raises(InputError, match=r"VETimeScorer .*fitted on 2 .*got 3"):
            scorer.score(make_series(3))
        with pytest.raises(InputError, match=r"fitted on 2 .*got 1"):
            scorer.score_from_prediction(make_series(1), make_series(1))
        with pytest.raises(InputError, match=r"same number of components, got \[1, 2\]"):
            scorer.detector([make_series(2), make_series(1)])

    @pytest.mark.parametrize("value", [np.inf, -np.inf])
    @pytest.mark.parametrize("method", ["fit", "score"])
    def test_infinite_values(self, value, method):
        values = make_values()
        values[5] = value
        with pytest.raises(InputError, match="inf"):
            getattr(VETimeScorer(), method)(make_series().with_values(values))

    def test_empty_series(self):
        empty = TimeSeries.from_times_and_values(pd.RangeIndex(0), np.empty((0, 1)))
        with pytest.raises(ValueError, match="length 0"):
            VETimeScorer().score(empty)

    @pytest.mark.parametrize(
        "parameters",
        [
            {"threshold": "best"},
            {"threshold": np.nan},
            {"contamination": 0.0},
            {"contamination": 0.6},
            {"max_reference": 0},
            {"max_reference": 2.5},
            {"diff_fn": metrics.mae},
        ],
    )
    def test_parameters(self, parameters):
        with pytest.raises(ValueError, match=next(iter(parameters))):
            VETimeScorer(**parameters)

    def test_parameters_are_keywords(self):
        with pytest.raises(TypeError):
            VETimeScorer("small")


class TestProcess:
    def test_pickle_scores_alike_in_a_new_process(self, tmp_path):
        test = with_spike(make_series(2, seed=1))
        scorer = VETimeScorer(component_wise=True, diff_fn=metrics.err, threshold="std").fit(make_series(2))
        expected = scorer.score(test)
        (tmp_path / "scorer.pkl").write_bytes(pickle.dumps((scorer, test)))
        code = (
            "import pickle, sys, numpy as np\n"
            "scorer, test = pickle.load(open(sys.argv[1] + '/scorer.pkl', 'rb'))\n"
            "np.save(sys.argv[1] + '/scores.npy', scorer.score(test).values())\n"
            "print(scorer.threshold_)\n"
        )
        run = subprocess.run(
            [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=True
        )
        assert run.stdout.strip() == str(scorer.threshold_)
        np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), expected.values(), rtol=0, atol=1e-6)

    def test_a_pickle_holds_no_weights(self):
        scorer = VETimeScorer(max_reference=50).fit(make_series())
        scorer.score(make_series())
        assert len(pickle.dumps(scorer)) < 5_000

    def test_import_leaves_torch_alone(self):
        code = (
            "import sys, vetime_plugins.adapters.darts as a; a.VETimeScorer(); print('torch' in sys.modules)"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.strip() == "False"

    def test_missing_darts_is_named(self):
        code = (
            "import sys; sys.modules['darts'] = None\n"
            "from vetime_plugins.errors import MissingDependencyError\n"
            "try:\n    from vetime_plugins.adapters.darts import VETimeScorer\n"
            "except MissingDependencyError as error:\n    print(error)\n"
        )
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert run.stdout.startswith("VETimeScorer for Darts needs darts>=")
        assert 'pip install "vetime-plugins[darts]"' in run.stdout
