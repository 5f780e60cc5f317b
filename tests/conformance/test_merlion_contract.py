"""What Merlion promises of every anomaly detector, checked on each configuration of `VETimeDetector`.

Two detectors of Merlion go through the same checks: a check that they fail would be ours, not Merlion's.
"""

from __future__ import annotations

import copy
import inspect
import json
import pickle

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("merlion")

from merlion.evaluate.anomaly import TSADEvaluator, TSADEvaluatorConfig
from merlion.models.anomaly.base import DetectorBase, DetectorConfig
from merlion.models.base import ModelBase
from merlion.models.ensemble.anomaly import DetectorEnsemble
from merlion.models.factory import ModelFactory, import_alias
from merlion.post_process.threshold import AggregateAlarms, Threshold
from merlion.transform.moving_average import DifferenceTransform
from merlion.transform.normalize import MeanVarNormalize
from merlion.utils import TimeSeries

from vetime_plugins.adapters.merlion import VETimeDetector, VETimeDetectorConfig

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:merlion.*")

LENGTH, SPLIT = 240, 160

VETIME = {
    "default": {},
    "std": {"threshold": "std", "readout": "point"},
    "pot": {"threshold": "pot", "readout": "window"},
    "fixed_score": {"threshold": 0.3, "max_reference": 100, "context": 64},
    "aggregate_alarms": {"threshold": AggregateAlarms(alm_threshold=2.0)},
    "merlion_default": {"threshold": None, "max_score": 1.0},
    "merlion_threshold": {"threshold": Threshold(alm_threshold=2.0), "enable_calibrator": True},
    "uncalibrated": {"enable_calibrator": False},
    "without_threshold": {"enable_threshold": False},
    "normalised": {"transform": MeanVarNormalize()},
}
MERLION = {
    "merlion_stat_threshold": ("StatThreshold", {"target_seq_index": 0}),
    "merlion_zms": ("ZMS", {"n_lags": 2}),
}


def make_vetime(name: str) -> VETimeDetector:
    return VETimeDetector(VETimeDetectorConfig(**copy.deepcopy(VETIME[name])))


def make_detector(name: str) -> DetectorBase:
    if name in VETIME:
        return make_vetime(name)
    kind, kwargs = MERLION[name]
    return ModelFactory.create(kind, **kwargs)


@pytest.fixture(params=[*VETIME, *MERLION])
def detector(request):
    return make_detector(request.param)


@pytest.fixture(params=VETIME)
def vetime(request):
    return make_vetime(request.param)


def make_frame(width: int = 1) -> pd.DataFrame:
    steps = np.arange(LENGTH)[:, None] + 7 * np.arange(width)
    values = np.sin(2 * np.pi * steps / 24) + 0.05 * np.random.default_rng(0).normal(size=(LENGTH, width))
    values[[60, 61, 200, 201, 202]] += 4
    index = pd.date_range("2024-03-01", periods=LENGTH, freq="h", name="time")
    return pd.DataFrame(values, index=index, columns=[f"sensor_{i}" for i in range(width)])


def make_series(width: int = 1) -> TimeSeries:
    return TimeSeries.from_pd(make_frame(width))


def halves(width: int = 1) -> tuple[TimeSeries, TimeSeries]:
    ts = make_series(width)
    return ts[:SPLIT], ts[SPLIT:]


def array(ts: TimeSeries) -> np.ndarray:
    return ts.to_pd().to_numpy()[:, 0]


def same_scores(one: DetectorBase, other: DetectorBase, width: int = 1) -> None:
    before, now = halves(width)
    for method in ("get_anomaly_score", "get_anomaly_label"):
        np.testing.assert_array_equal(
            array(getattr(one, method)(now, before)), array(getattr(other, method)(now, before))
        )


class TestConfig:
    def test_every_parameter_has_a_default(self, detector):
        parameters = inspect.signature(type(detector).config_class.__init__).parameters.values()
        named = [p for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD]
        assert [p.name for p in named if p.default is p.empty] == []
        assert issubclass(type(detector).config_class, DetectorConfig)

    def test_every_parameter_is_an_attribute_of_its_name(self, vetime):
        names = set(inspect.signature(VETimeDetectorConfig.__init__).parameters) - {
            "self",
            "kwargs",
            "max_score",
        }
        state = vetime.config.to_dict()
        assert names <= set(state)
        for name in names - {"threshold", "transform"}:
            assert state[name] == getattr(vetime.config, name)

    def test_dictionary_round_trip(self, detector):
        detector.train(make_series())  # the calibrator and the threshold have learned something
        state = json.loads(json.dumps(detector.config.to_dict()))
        again, unused = type(detector.config).from_dict(copy.deepcopy(state), return_unused_kwargs=True)
        assert unused == {}
        assert json.dumps(again.to_dict()) == json.dumps(detector.config.to_dict())

    def test_copies_are_independent(self, detector):
        for again in (copy.copy(detector.config), copy.deepcopy(detector.config)):
            assert again.to_dict() == detector.config.to_dict()
            again.enable_threshold = not again.enable_threshold
            assert again.enable_threshold != detector.config.enable_threshold


class TestModel:
    def test_factory_creates_it_from_its_name_and_dictionary(self, vetime):
        name = type(vetime).__name__
        assert name in import_alias
        again = ModelFactory.create(name, **vetime.config.to_dict())
        assert type(again) is type(vetime)
        assert json.dumps(again.config.to_dict()) == json.dumps(vetime.config.to_dict())

    def test_train_returns_one_score_for_each_row(self, detector):
        ts = make_series()
        trained = detector.train(ts)
        assert trained.names == ["anom_score"]
        pd.testing.assert_index_equal(trained.to_pd().index, make_frame().index)
        assert np.isfinite(array(trained)).all()

    @pytest.mark.parametrize("with_context", [False, True])
    def test_scores_and_labels_cover_exactly_the_rows_asked(self, detector, with_context):
        before, now = halves()
        detector.train(before)
        prev = before if with_context else None
        for scores in (detector.get_anomaly_score(now, prev), detector.get_anomaly_label(now, prev)):
            assert scores.dim == 1
            pd.testing.assert_index_equal(scores.to_pd().index, make_frame().index[SPLIT:])
            assert np.isfinite(array(scores)).all()

    def test_label_is_the_post_rule_of_the_raw_score(self, detector):
        before, now = halves()
        detector.train(before)
        np.testing.assert_array_equal(
            array(detector.get_anomaly_label(now, before)),
            array(detector.post_rule(detector.get_anomaly_score(now, before))),
        )

    def test_spikes_score_higher_than_the_rest(self, detector):
        before, now = halves()
        detector.train(before)
        scores = np.abs(array(detector.get_anomaly_score(now, before)))
        spikes = np.isin(np.arange(SPLIT, LENGTH), [200, 201, 202])
        assert scores[spikes].max() > np.quantile(scores[~spikes], 0.9)

    def test_scoring_changes_nothing(self, detector):
        before, now = halves()
        data = make_frame()
        given = TimeSeries.from_pd(data[SPLIT:])
        detector.train(before)
        first = array(detector.get_anomaly_score(given, before))
        detector.get_anomaly_label(before)
        np.testing.assert_array_equal(array(detector.get_anomaly_score(now, before)), first)
        pd.testing.assert_frame_equal(given.to_pd(), make_frame()[SPLIT:])

    def test_training_twice_is_training_once(self, vetime):
        other = copy.deepcopy(vetime)
        other.train(make_series()[: SPLIT // 2])
        other.reset()
        other.config = copy.copy(vetime.config)
        vetime.train(halves()[0])
        other.train(halves()[0])
        same_scores(vetime, other)

    def test_attributes_are_all_made_by_the_constructor(self, detector):
        fresh = set(vars(detector))
        detector.train(make_series())
        detector.get_anomaly_label(make_series())
        assert set(vars(detector)) == fresh

    def test_several_variables(self, vetime):
        before, now = halves(3)
        trained = vetime.train(before)
        assert trained.dim == 1
        assert vetime.dim == 3
        assert len(vetime.get_anomaly_label(now, before)) == LENGTH - SPLIT

    def test_the_spelled_out_properties(self, vetime):
        assert isinstance(vetime, ModelBase)
        assert vetime.require_even_sampling is False
        assert vetime.require_univariate is False
        assert vetime.base_model is vetime


class TestPersistence:
    def test_folder(self, detector, tmp_path):
        detector.train(halves()[0])
        detector.save(str(tmp_path))
        same_scores(detector, type(detector).load(str(tmp_path)))
        same_scores(detector, ModelFactory.load(type(detector).__name__, str(tmp_path)))

    def test_bytes(self, detector):
        detector.train(halves()[0])
        same_scores(detector, ModelFactory.load_bytes(detector.to_bytes()))

    def test_pickle_and_copies(self, detector):
        detector.train(halves()[0])
        for again in (pickle.loads(pickle.dumps(detector)), copy.copy(detector), copy.deepcopy(detector)):
            same_scores(detector, again)

    def test_untrained_model_can_be_saved(self, vetime, tmp_path):
        vetime.save(str(tmp_path))
        again = VETimeDetector.load(str(tmp_path))
        assert again.last_train_time is None
        assert json.dumps(again.config.to_dict()) == json.dumps(vetime.config.to_dict())


class TestComposition:
    def test_ensemble(self, detector):
        ts = make_series()
        ensemble = DetectorEnsemble(models=[detector, make_vetime("default")])
        scores = ensemble.train(ts)
        assert ensemble.models_used == [True, True]
        assert np.isfinite(array(scores)).all()
        again = ModelFactory.load_bytes(ensemble.to_bytes())
        np.testing.assert_array_equal(
            array(again.get_anomaly_label(ts)), array(ensemble.get_anomaly_label(ts))
        )

    def test_transform_is_applied_first(self, vetime):
        ts = make_series()
        plain = copy.deepcopy(vetime)
        plain.transform = copy.deepcopy(VETimeDetectorConfig().transform)
        difference = DifferenceTransform()
        vetime.transform = difference
        trained = vetime.train(ts)
        np.testing.assert_allclose(array(trained), array(plain.train(difference(ts))), atol=1e-9)

    def test_evaluator_with_a_schedule(self, detector):
        before, now = halves()
        evaluator = TSADEvaluator(detector, TSADEvaluatorConfig(cadence="12h", retrain_freq="1d"))
        trained, predicted = evaluator.get_predict(before, now, post_process=False)
        pd.testing.assert_index_equal(trained.to_pd().index, before.to_pd().index)
        pd.testing.assert_index_equal(predicted.to_pd().index, now.to_pd().index)
        assert np.isfinite(array(predicted)).all()
