"""The Merlion adapter: where its users use it, and what only it does."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("merlion")

from merlion.evaluate.anomaly import TSADEvaluator, TSADEvaluatorConfig, TSADMetric
from merlion.models.ensemble.anomaly import DetectorEnsemble, DetectorEnsembleConfig
from merlion.models.ensemble.combine import ModelSelector
from merlion.models.factory import ModelFactory
from merlion.models.layers import LayeredModel
from merlion.post_process.threshold import AggregateAlarms, Threshold
from merlion.transform.moving_average import MovingAverage
from merlion.transform.normalize import MeanVarNormalize
from merlion.transform.resample import Shingle, TemporalResample
from merlion.transform.sequence import TransformSequence
from merlion.utils import TimeSeries, UnivariateTimeSeries

from vetime_plugins.adapters import merlion as adapter
from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig, VETimeThreshold
from vetime_plugins.errors import InputError
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.streaming import StreamingVETime
from vetime_plugins.thresholds import find_threshold

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:merlion.*")

N, SPLIT = 400, 200
NAME = "vetime_plugins.adapters.merlion:VETimeDetector"


def frame(n_variables: int = 1, n: int = N, freq: str = "5min", seed: int = 0) -> pd.DataFrame:
    """Noisy sines with a burst in each half."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None]
    values = np.sin(2 * np.pi * (t + 3 * np.arange(n_variables)) / 25)
    values += 0.1 * rng.standard_normal((n, n_variables))
    values[n // 4 : n // 4 + 5] += 3
    values[3 * n // 4 : 3 * n // 4 + 8, 0] -= 4
    columns = [f"v{i}" for i in range(n_variables)][::-1]
    index = pd.date_range("2024-03-01", periods=n, freq=freq, name="time")
    return pd.DataFrame(values, index=index, columns=columns)


def series(**kwargs) -> TimeSeries:
    return TimeSeries.from_pd(frame(**kwargs))


def labels() -> TimeSeries:
    truth = pd.DataFrame({"label": np.zeros(N)}, index=frame().index)
    truth.iloc[N // 4 : N // 4 + 5] = truth.iloc[3 * N // 4 : 3 * N // 4 + 8] = 1
    return TimeSeries.from_pd(truth)


def values_of(scores: TimeSeries) -> np.ndarray:
    return scores.to_pd().to_numpy()[:, 0]


def bare(values, **kwargs) -> np.ndarray:
    return cached_pipeline("small").score(np.asarray(values, dtype=float), **kwargs)


@pytest.fixture
def calls(monkeypatch):
    """Every call of the network: [(series, reference)], with the real scores returned."""
    seen = []
    real = adapter.load_pipeline

    class Spy:
        def __init__(self, pipeline):
            self.pipeline = pipeline

        def score(self, values, *, reference=None, **kwargs):
            seen.append((np.array(values), None if reference is None else np.array(reference)))
            return self.pipeline.score(values, reference=reference, **kwargs)

    monkeypatch.setattr(adapter, "load_pipeline", lambda *args, **kwargs: Spy(real(*args, **kwargs)))
    return seen


class TestConfig:
    def test_every_parameter_survives_json(self):
        given = {
            "weights": "small",
            "device": "cpu",
            "dtype": "float32",
            "readout": "point",
            "contamination": 0.03,
            "max_reference": 123,
            "context": 77,
            "max_score": 5.0,
            "enable_calibrator": False,
            "enable_threshold": True,
        }
        config = VETimeDetectorConfig(threshold="std", transform=MeanVarNormalize(), **given)
        state = json.loads(json.dumps(config.to_dict()))
        again = VETimeDetectorConfig.from_dict(copy.deepcopy(state))
        assert (
            again.to_dict()
            == config.to_dict()
            == copy.copy(config).to_dict()
            == copy.deepcopy(config).to_dict()
        )
        assert {name: getattr(again, name) for name in given if name != "max_score"} == {
            name: value for name, value in given.items() if name != "max_score"
        }
        assert again.calibrator.max_score == 5.0
        assert again.threshold.rule == "std"
        assert isinstance(again.transform, MeanVarNormalize)

    def test_defaults_are_those_of_the_other_adapters(self):
        from vetime_plugins.adapters._shared import DEFAULTS

        config = VETimeDetectorConfig()
        shared = {name: getattr(config, name) for name in DEFAULTS if name != "threshold"}
        assert shared == {name: value for name, value in DEFAULTS.items() if name != "threshold"}
        assert config.threshold.rule == DEFAULTS["threshold"]

    def test_no_unused_keywords_are_left(self):
        config, unused = VETimeDetectorConfig.from_dict(
            VETimeDetectorConfig().to_dict(), return_unused_kwargs=True
        )
        assert unused == {}
        assert isinstance(config, VETimeDetectorConfig)

    @pytest.mark.parametrize(
        "bad",
        [
            {"threshold": "median"},
            {"threshold": float("nan")},
            {"threshold": True},
            {"contamination": 0},
            {"contamination": 0.6},
            {"max_reference": 0},
            {"max_reference": 2.5},
            {"context": -1},
        ],
    )
    def test_values_out_of_range_are_named(self, bad):
        (name,) = bad
        with pytest.raises(InputError, match=name):
            VETimeDetectorConfig(**bad)

    def test_threshold_takes_merlions_rules(self):
        config = VETimeDetectorConfig(threshold=AggregateAlarms(alm_threshold=2.5))
        assert isinstance(copy.copy(config).threshold, AggregateAlarms)
        assert copy.copy(config).threshold.alm_threshold == 2.5
        config = VETimeDetectorConfig(threshold={"name": "Threshold", "alm_threshold": 1.5})
        assert type(config.threshold) is Threshold
        default = VETimeDetectorConfig(threshold=None).threshold
        assert type(default) is AggregateAlarms
        assert default.alm_threshold == 3

    def test_threshold_and_contamination_can_be_assigned(self):
        model = VETimeDetector()
        model.config.contamination = 0.2
        assert model.threshold.contamination == 0.2
        model.threshold = "pot"
        assert (model.threshold.rule, model.threshold.contamination) == ("pot", 0.2)
        model.threshold = 0.25
        assert model.threshold.alm_threshold == 0.25
        model.threshold = VETimeThreshold("quantile", contamination=0.01)
        assert model.config.contamination == 0.01
        with pytest.raises(InputError, match="contamination"):
            model.config.contamination = 2


class TestScores:
    @pytest.mark.parametrize("n_variables", [1, 3])
    def test_scores_are_those_of_the_pipeline(self, n_variables):
        data = frame(n_variables)
        ts = TimeSeries.from_pd(data)
        scored = VETimeDetector().get_anomaly_score(ts)
        np.testing.assert_allclose(values_of(scored), bare(data), rtol=0, atol=1e-9)
        assert scored.names == ["anom_score"]
        pd.testing.assert_index_equal(scored.to_pd().index, data.index)
        model = VETimeDetector()
        np.testing.assert_array_equal(values_of(model.train(ts)), values_of(model.get_anomaly_score(ts)))
        np.testing.assert_allclose(values_of(model.get_anomaly_score(ts)), bare(data), rtol=0, atol=1e-6)

    def test_training_data_is_the_reference(self, calls):
        data = frame(2)
        model = VETimeDetector(VETimeDetectorConfig(max_reference=150))
        model.train(TimeSeries.from_pd(data[:SPLIT]))
        scores = values_of(model.get_anomaly_score(TimeSeries.from_pd(data[SPLIT:])))
        values, reference = calls[-1]
        np.testing.assert_array_equal(reference, data[50:SPLIT])
        np.testing.assert_array_equal(values, data[SPLIT:])
        np.testing.assert_allclose(scores, bare(data[SPLIT:], reference=data[50:SPLIT].to_numpy()), atol=1e-9)

    @pytest.mark.parametrize("trained", [False, True])
    def test_previous_rows_are_context_and_not_scored(self, calls, trained):
        data = frame(2)
        before, now = TimeSeries.from_pd(data[:SPLIT]), TimeSeries.from_pd(data[SPLIT:])
        model = VETimeDetector(VETimeDetectorConfig(context=81))
        if trained:
            model.train(before)
        scores = model.get_anomaly_score(now, before)
        pd.testing.assert_index_equal(scores.to_pd().index, data.index[SPLIT:])
        values, reference = calls[-1]
        np.testing.assert_array_equal(values, data[SPLIT - 80 :])
        np.testing.assert_allclose(values_of(scores), bare(values, reference=reference)[80:], atol=1e-9)

    def test_rows_that_both_hold_are_scored_once(self, calls):
        data = frame()
        scores = VETimeDetector().get_anomaly_score(
            TimeSeries.from_pd(data[SPLIT:]), TimeSeries.from_pd(data[: SPLIT + 30])
        )
        assert len(scores) == N - SPLIT
        np.testing.assert_array_equal(calls[-1][0], data)

    def test_row_by_row_is_streaming(self):
        data = frame(2, n=36)
        stream = StreamingVETime(context=24)
        streamed = stream.update(data.to_numpy())
        model = VETimeDetector(VETimeDetectorConfig(context=24))
        scores = [
            values_of(model.get_anomaly_score(data[row : row + 1], data[:row] if row else None))[0]
            for row in range(len(data))
        ]
        np.testing.assert_allclose(scores, streamed, atol=1e-6)

    def test_one_row_at_a_time(self):
        data = frame()
        model = VETimeDetector(VETimeDetectorConfig(threshold=0.5))
        for row in (0, 1, 250):
            scores = model.get_anomaly_score(
                TimeSeries.from_pd(data[row : row + 1]), TimeSeries.from_pd(data[:row]) if row else None
            )
            assert list(scores.to_pd().index) == [data.index[row]]
            assert np.isfinite(values_of(scores)).all()

    def test_no_rows_give_no_scores(self):
        model = VETimeDetector()
        ts = series()
        model.train(ts)
        assert len(model.get_anomaly_score(ts[:0])) == 0
        assert len(model.get_anomaly_score(ts[:0], ts)) == 0

    def test_pandas_is_taken_for_a_time_series(self):
        data = frame(2)
        model = VETimeDetector()
        trained = model.train(data)
        np.testing.assert_array_equal(
            values_of(trained), values_of(VETimeDetector().train(TimeSeries.from_pd(data)))
        )
        assert values_of(model.get_anomaly_score(data[SPLIT:], data[:SPLIT])).shape == (N - SPLIT,)

    def test_another_number_of_variables_is_refused(self):
        model = VETimeDetector()
        model.train(series(n_variables=2))
        with pytest.raises(InputError, match="2 variable"):
            model.get_anomaly_score(series())
        with pytest.raises(InputError, match="2 variable"):
            model.get_anomaly_score(series(n_variables=2), series(n_variables=3))

    def test_no_training_rows_are_refused(self):
        with pytest.raises(InputError, match="at least one row"):
            VETimeDetector().train(series()[:0])


class TestSampling:
    @pytest.mark.parametrize("n_variables", [1, 2])
    def test_irregular_steps(self, n_variables):
        data = frame(n_variables)
        rng = np.random.default_rng(1)
        data.index += pd.to_timedelta(rng.integers(0, 200, N), unit="s")
        model = VETimeDetector()
        scores = model.train(TimeSeries.from_pd(data))
        pd.testing.assert_index_equal(scores.to_pd().index, data.index, check_names=False)
        np.testing.assert_allclose(values_of(scores), bare(data), atol=1e-9)

    def test_gaps_and_missing_values(self):
        data = frame().drop(frame().index[60:90])
        data.iloc[120:124] = np.nan
        model = VETimeDetector()
        trained = model.train(TimeSeries.from_pd(data))
        pd.testing.assert_index_equal(trained.to_pd().index, data.index)
        np.testing.assert_allclose(values_of(trained), bare(data), atol=1e-9)
        assert model.timedelta == pd.Timedelta("5min")
        assert model.last_train_time == data.index[-1]
        labelled = model.get_anomaly_label(TimeSeries.from_pd(data[SPLIT:]), TimeSeries.from_pd(data[:SPLIT]))
        pd.testing.assert_index_equal(
            labelled.to_pd().index, data[SPLIT:].index, exact="equiv", check_names=False
        )

    def test_variables_of_unlike_sampling_keep_every_row(self):
        data = frame(2)
        data.iloc[:10, 0] = np.nan  # rows that alignment by overlap would drop
        data.iloc[-7:, 1] = np.nan
        data.iloc[21:-20:2, 1] = np.nan
        ts = TimeSeries.from_pd(data)
        assert not ts.is_aligned
        model = VETimeDetector()
        trained = model.train(ts)
        pd.testing.assert_index_equal(trained.to_pd().index, data.index)
        np.testing.assert_allclose(values_of(trained), bare(data), atol=1e-9)
        assert np.isfinite(values_of(model.get_anomaly_score(ts))).all()

    @pytest.mark.parametrize(
        ("freq", "step"), [("MS", "<MonthBegin>"), ("D", "<Day>"), ("7s", "<7 * Seconds>")]
    )
    def test_sampling_step_is_noted(self, freq, step):
        model = VETimeDetector()
        model.train(series(n=60, freq=freq))
        assert repr(model.timedelta) == step

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_a_few_rows_are_enough(self, n):
        model = VETimeDetector()
        scores = model.train(series()[:n])
        assert np.isfinite(values_of(scores)).all()
        assert len(model.get_anomaly_label(series()[:n])) == n

    def test_rows_without_time_stamps(self):
        ts = TimeSeries([UnivariateTimeSeries(None, frame()["v0"].to_numpy())])
        np.testing.assert_allclose(values_of(VETimeDetector().train(ts)), bare(frame()), atol=1e-9)


class TestLabels:
    @pytest.mark.parametrize("rule", ["quantile", "std", "pot", 0.4])
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
        model = VETimeDetector()
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
        model = VETimeDetector(VETimeDetectorConfig(contamination=0.4))
        scores = model.train(
            ts, anomaly_labels=truth, post_rule_train_config={"metric": TSADMetric.PointwiseF1}
        )
        unsupervised = VETimeDetector(VETimeDetectorConfig(contamination=0.4))
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
        assert model.threshold.alm_threshold == find_threshold(scores)

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


class TestFactory:
    @pytest.mark.parametrize("name", ["VETimeDetector", NAME])
    def test_create_and_load(self, name, tmp_path):
        model = ModelFactory.create(name, threshold="std", context=90, transform={"name": "MeanVarNormalize"})
        assert isinstance(model, VETimeDetector)
        assert (model.config.threshold.rule, model.config.context) == ("std", 90)
        ts = series()
        model.train(ts)
        model.save(tmp_path)
        again = ModelFactory.load(name, tmp_path)
        assert_same_model(model, again, ts)

    def test_bytes_pickle_and_copies(self):
        ts = series(n_variables=2)
        model = VETimeDetector()
        model.train(ts[:SPLIT])
        for again in (
            ModelFactory.load_bytes(model.to_bytes()),
            VETimeDetector.from_bytes(model.to_bytes()),
            pickle.loads(pickle.dumps(model)),
            copy.copy(model),
            copy.deepcopy(model),
        ):
            assert_same_model(model, again, ts)
        model.config.contamination = 0.3  # of no effect on the copies
        assert again.config.contamination == 0.1

    def test_loading_can_override_parameters(self, tmp_path):
        model = VETimeDetector()
        model.train(series())
        model.save(tmp_path)
        assert VETimeDetector.load(tmp_path, context=33).config.context == 33

    def test_a_model_holds_data_and_no_network(self):
        model = VETimeDetector()
        model.train(series())
        model.get_anomaly_score(series())
        assert "torch" not in repr({type(value).__module__ for value in vars(model).values()})
        assert len(model.to_bytes()) < 30_000

    def test_reset_forgets_the_reference_and_keeps_the_configuration(self, calls):
        ts = series()
        model = VETimeDetector(VETimeDetectorConfig(contamination=0.07, context=50))
        model.train(ts[:SPLIT])
        model.reset()
        assert model.train_data is None
        assert (model.config.contamination, model.config.context) == (0.07, 50)
        model.get_anomaly_score(ts)
        assert calls[-1][1] is None

    def test_save_and_load_in_a_new_process(self, tmp_path):
        ts = series(n_variables=2)
        model = VETimeDetector()
        model.train(ts[:SPLIT])
        ensemble = DetectorEnsemble(models=[VETimeDetector(), VETimeDetector()])
        ensemble.train(ts[:SPLIT])
        model.save(tmp_path / "model")
        ensemble.save(tmp_path / "ensemble")
        (tmp_path / "bytes").write_bytes(model.to_bytes())
        frame(2)[SPLIT:].to_pickle(tmp_path / "data.pkl")
        script = f"""
import sys, numpy as np, pandas as pd
from merlion.models.factory import ModelFactory
from merlion.utils import TimeSeries
folder = {str(tmp_path)!r}
ts = TimeSeries.from_pd(pd.read_pickle(folder + "/data.pkl"))
model = ModelFactory.load({NAME!r}, folder + "/model")
assert "torch" not in sys.modules
np.savetxt(folder + "/model.txt", model.get_anomaly_label(ts).to_pd())
ensemble = ModelFactory.load("DetectorEnsemble", folder + "/ensemble")
np.savetxt(folder + "/ensemble.txt", ensemble.get_anomaly_label(ts).to_pd())
with open(folder + "/bytes", "rb") as file:
    np.savetxt(folder + "/bytes.txt", ModelFactory.load_bytes(file.read()).get_anomaly_label(ts).to_pd())
"""
        subprocess.run([sys.executable, "-c", script], check=True, timeout=300)
        expected = values_of(model.get_anomaly_label(ts[SPLIT:]))
        np.testing.assert_allclose(np.loadtxt(tmp_path / "model.txt"), expected, rtol=1e-5)
        np.testing.assert_allclose(np.loadtxt(tmp_path / "bytes.txt"), expected, rtol=1e-5)
        expected = values_of(ensemble.get_anomaly_label(ts[SPLIT:]))
        np.testing.assert_allclose(np.loadtxt(tmp_path / "ensemble.txt"), expected, rtol=1e-5)


def assert_same_model(model: VETimeDetector, again: VETimeDetector, ts: TimeSeries) -> None:
    assert isinstance(again, VETimeDetector)
    assert again is not model
    assert json.dumps(again.config.to_dict()) == json.dumps(model.config.to_dict())  # JSON has no tuples
    assert (again.timedelta, again.last_train_time) == (model.timedelta, model.last_train_time)
    np.testing.assert_array_equal(
        values_of(again.get_anomaly_label(ts)), values_of(model.get_anomaly_label(ts))
    )


class Layer(LayeredModel):
    """A layer that changes nothing."""


class TestEnsembles:
    def test_model_selector_takes_the_better_model(self):
        ts, truth = series(), labels()

        def models():
            return [
                VETimeDetector(),
                VETimeDetector(VETimeDetectorConfig(transform=MovingAverage(n_steps=N // 2))),
                ModelFactory.create("ZMS", n_lags=1, threshold=Threshold(alm_threshold=3)),
            ]

        alone, f1 = models(), []
        for model in alone:
            scores = model.train(ts, anomaly_labels=truth)
            f1.append(TSADMetric.PointwiseF1.value(truth, model.post_rule(scores)))
        selector = ModelSelector(TSADMetric.PointwiseF1)
        config = DetectorEnsembleConfig(models=models(), combiner=selector, enable_threshold=False)
        ensemble = DetectorEnsemble(config)
        ensemble.train(ts, anomaly_labels=truth)
        assert ensemble.models_used == [value == max(f1) for value in f1]
        assert sum(ensemble.models_used) == 1
        best = alone[ensemble.models_used.index(True)]
        np.testing.assert_array_equal(
            values_of(ensemble.get_anomaly_label(ts)), values_of(best.get_anomaly_label(ts))
        )

    def test_mean_of_calibrated_scores(self):
        ts = series(n_variables=2)
        ensemble = ModelFactory.create(
            "DetectorEnsemble",
            models=[{"name": "VETimeDetector", "readout": readout} for readout in ("point", "window")],
            combiner={"name": "Mean", "abs_score": False},
            threshold={"name": f"{adapter.__name__}:VETimeThreshold", "contamination": 0.02},
        )
        scores = values_of(ensemble.train(ts))
        single = []
        for readout in ("point", "window"):
            model = VETimeDetector(VETimeDetectorConfig(readout=readout, enable_threshold=False))
            model.train(ts)
            single.append(values_of(model.get_anomaly_label(ts)))
        np.testing.assert_allclose(scores, np.mean(single, axis=0), atol=1e-9)
        labelled = values_of(ensemble.get_anomaly_label(ts))
        assert (labelled != 0).sum() == N * 2 // 100
        again = ModelFactory.load_bytes(ensemble.to_bytes())
        np.testing.assert_array_equal(values_of(again.get_anomaly_label(ts)), labelled)

    def test_layered_model(self):
        ts = series()
        layered = Layer(model=VETimeDetector())
        layered.train(ts)
        alone = VETimeDetector()
        alone.train(ts)
        np.testing.assert_array_equal(
            values_of(layered.get_anomaly_label(ts)), values_of(alone.get_anomaly_label(ts))
        )


class TestEvaluator:
    @pytest.mark.parametrize(
        ("schedule", "trained_on"),
        [
            ({"cadence": "4h"}, {200}),
            ({"cadence": "4h", "retrain_freq": "8h"}, {200, 296, 392}),
            ({"retrain_freq": "6h", "train_window": "10h"}, {200, 120}),
        ],
        ids=["cadence", "retrain", "train_window"],
    )
    def test_schedules(self, schedule, trained_on, monkeypatch):
        lengths = []
        train = VETimeDetector._train

        def spy(self, train_data, train_config=None):
            lengths.append(len(train_data))
            return train(self, train_data, train_config)

        monkeypatch.setattr(VETimeDetector, "_train", spy)
        ts = series()
        model = VETimeDetector()
        evaluator = TSADEvaluator(model, TSADEvaluatorConfig(**schedule))
        trained, predicted = evaluator.get_predict(train_vals=ts[:SPLIT], test_vals=ts[SPLIT:])
        assert trained.to_pd().index.equals(ts[:SPLIT].to_pd().index)
        assert predicted.to_pd().index.equals(ts[SPLIT:].to_pd().index)
        assert set(lengths) == trained_on
        first = VETimeDetector()
        first.train(ts[:SPLIT])  # the schedule re-trains the model, not its post-rule
        assert model.threshold.alm_threshold == first.threshold.alm_threshold
        assert 0 < evaluator.evaluate(labels()[SPLIT:], predicted, metric=TSADMetric.PointwiseF1) <= 1

    def test_zero_cadence_scores_at_every_row(self):
        ts = series()[:110]
        evaluator = TSADEvaluator(VETimeDetector(), TSADEvaluatorConfig(cadence=0))
        _, predicted = evaluator.get_predict(train_vals=ts[:90], test_vals=ts[90:], post_process=False)
        expected = VETimeDetector()
        expected.train(ts[:90])
        pd.testing.assert_index_equal(predicted.to_pd().index, frame().index[90:110])
        for row in range(91, 110):  # Merlion asks for two rows at a time and keeps a row's first answer
            pair = values_of(expected.get_anomaly_score(ts[row - 1 : row + 1], ts[: row - 1]))
            np.testing.assert_allclose(values_of(predicted)[row - 90], pair[1], atol=1e-6)


class TestImport:
    def test_importing_the_adapter_imports_no_other_framework(self):
        script = (
            "import sys, vetime_plugins.adapters.merlion, merlion.models.factory as f;"
            "assert f.import_alias['VETimeDetector'] == 'vetime_plugins.adapters.merlion:VETimeDetector';"
            "print([m for m in ('torch', 'pyod', 'sktime', 'darts', 'pyspark') if m in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
        )
        assert done.stdout.strip() == "[]"

    def test_without_merlion_the_message_names_the_extra(self):
        script = (
            "import sys; sys.modules['merlion'] = None\n"
            "from vetime_plugins.errors import MissingDependencyError\n"
            "try:\n    import vetime_plugins.adapters.merlion\n"
            "except MissingDependencyError as error:\n    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
        )
        assert 'pip install "vetime-plugins[merlion]"' in done.stdout
