"""The Merlion adapter where its users put detectors: factory, files, ensembles, layers, the evaluator."""

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
from merlion.post_process.threshold import Threshold
from merlion.transform.moving_average import MovingAverage
from merlion.utils import TimeSeries

from tests.adapters._merlion import NAME, SPLIT, N, frame, labels, series, values_of
from vetime_plugins.adapters import merlion as adapter
from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:merlion.*")


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
            threshold={
                "name": f"{adapter.__name__}:VETimeThreshold",
                "rule": "quantile",
                "contamination": 0.02,
            },
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
        # The training rows hold a burst, and "auto" passes over what is weaker than it: here the test burst.
        model = VETimeDetector(VETimeDetectorConfig(threshold="quantile", contamination=0.3))
        evaluator = TSADEvaluator(model, TSADEvaluatorConfig(**schedule))
        trained, predicted = evaluator.get_predict(train_vals=ts[:SPLIT], test_vals=ts[SPLIT:])
        assert trained.to_pd().index.equals(ts[:SPLIT].to_pd().index)
        assert predicted.to_pd().index.equals(ts[SPLIT:].to_pd().index)
        assert set(lengths) == trained_on
        first = VETimeDetector(VETimeDetectorConfig(threshold="quantile", contamination=0.3))
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
