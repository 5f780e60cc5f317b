"""The Merlion adapter: where its users use it, and what only it does."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("merlion")

from merlion.post_process.threshold import AggregateAlarms, Threshold
from merlion.transform.normalize import MeanVarNormalize
from merlion.utils import TimeSeries, UnivariateTimeSeries

from tests.adapters._merlion import SPLIT, N, bare, frame, series, values_of
from vetime_plugins.adapters import _merlion as adapter
from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig, VETimeThreshold
from vetime_plugins.errors import InputError
from vetime_plugins.streaming import StreamingVETime

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:merlion.*")


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

    def test_reset_forgets_the_reference_and_keeps_the_configuration(self, calls):
        ts = series()
        model = VETimeDetector(VETimeDetectorConfig(threshold="quantile", contamination=0.07, context=50))
        model.train(ts[:SPLIT])
        model.reset()
        assert model.train_data is None
        assert (model.config.contamination, model.config.context) == (0.07, 50)
        model.get_anomaly_score(ts)
        assert calls[-1][1] is None


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
            "try:\n    from vetime_plugins.adapters.merlion import VETimeDetector\n"
            "except MissingDependencyError as error:\n    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120
        )
        assert 'pip install "vetime-plugins[merlion]"' in done.stdout
