"""What PyOD promises of every detector, checked on each configuration of `VETime`.

Two of PyOD's own detectors go through the same checks where they can: a check that they fail would be ours.
"""

from __future__ import annotations

import inspect
import pickle

import joblib
import numpy as np
import pytest

pytest.importorskip("pyod")

from pyod.models.base import BaseDetector
from pyod.models.knn import KNN
from pyod.models.ts_spectral_residual import SpectralResidual
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags

from vetime_plugins.adapters.pyod import VETime

N = 300

VETIME = {
    "default": lambda: VETime(),
    "point": lambda: VETime(readout="point", threshold="std"),
    "window": lambda: VETime(readout="window", threshold="pot", contamination=0.02),
    "fixed_threshold": lambda: VETime(threshold=0.3),
    "small_reference": lambda: VETime(contamination=0.5, max_reference=120),
}
PYOD = {"pyod_knn": lambda: KNN(), "pyod_spectral_residual": lambda: SpectralResidual(contamination=0.05)}
METHODS = ("decision_function", "predict", "predict_proba", "predict_confidence", "predict_with_rejection")


@pytest.fixture(params=[*VETIME, *PYOD])
def detector(request):
    return {**VETIME, **PYOD}[request.param]()


@pytest.fixture(params=VETIME)
def vetime(request):
    return VETIME[request.param]()


def series(width=2, n=N, seed=0):
    steps = np.arange(n)[:, None] + 9 * np.arange(width)
    values = np.sin(2 * np.pi * steps / 25) + 0.1 * np.random.default_rng(seed).normal(size=(n, width))
    values[n // 2 : n // 2 + 4] += 4
    return values


# ------------------------------------------------------------------------------------------ parameters
def test_parameters_are_stored_unaltered_under_their_own_names(detector):
    parameters = inspect.signature(type(detector).__init__).parameters
    assert all(p.kind is not p.VAR_POSITIONAL for p in parameters.values())
    assert isinstance(detector, BaseDetector)
    for name, value in detector.get_params().items():
        assert getattr(detector, name) is value


def test_clone_is_unfitted_and_equal(detector):
    detector.fit(series())
    twin = clone(detector)
    assert twin.get_params() == detector.get_params()
    assert not hasattr(twin, "decision_scores_")
    np.testing.assert_array_equal(twin.fit(series()).decision_scores_, detector.decision_scores_)


def test_set_params_and_repr(detector):
    assert detector.set_params(contamination=0.25) is detector
    assert detector.get_params()["contamination"] == 0.25
    assert repr(detector).startswith(f"{type(detector).__name__}(")
    assert "contamination=0.25" in repr(detector)
    with pytest.raises(ValueError, match="Invalid parameter"):
        detector.set_params(no_such_parameter=1)


@pytest.mark.parametrize("contamination", [0, 0.0, -0.1, 0.51, 1, 1.0])
@pytest.mark.parametrize("cls", [VETime, KNN])
def test_contamination_outside_its_range_is_refused_when_given(cls, contamination):
    with pytest.raises(ValueError, match=r"contamination must be in \(0, 0.5\]"):
        cls(contamination=contamination)


def test_sklearn_takes_it_for_an_outlier_detector(detector):
    assert get_tags(detector).estimator_type == "outlier_detector"


# ------------------------------------------------------------------------------------------ fit
def test_fit_sets_the_fitted_attributes(detector):
    values = series()
    before = values.copy()
    assert detector.fit(values) is detector
    np.testing.assert_array_equal(values, before)
    assert detector.decision_scores_.shape == (N,)
    assert np.isfinite(detector.decision_scores_).all()
    assert np.isfinite(detector.threshold_)
    assert detector.labels_.dtype == int
    np.testing.assert_array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)
    assert detector._mu == detector.decision_scores_.mean()
    assert detector._sigma == detector.decision_scores_.std()
    assert detector._classes == 2


def test_contamination_is_the_share_of_flagged_rows():
    for contamination in (0.01, 0.1, 0.5):
        detector = VETime(contamination=contamination).fit(series())
        assert detector.labels_.mean() == pytest.approx(contamination, abs=1 / N)
        assert detector.threshold_ == np.percentile(detector.decision_scores_, 100 * (1 - contamination))


def test_fit_forgets_the_former_fit(detector):
    expected = clone(detector).fit(series(width=1, seed=1))
    detector.fit(series(width=3)).fit(series(width=1, seed=1))
    np.testing.assert_array_equal(detector.decision_scores_, expected.decision_scores_)
    assert detector.threshold_ == expected.threshold_


def test_two_fits_agree(detector):
    np.testing.assert_array_equal(
        detector.fit(series()).decision_scores_, clone(detector).fit(series()).decision_scores_
    )


def test_y_is_not_used(vetime):
    expected = clone(vetime).fit(series()).decision_scores_
    for y in (np.zeros(N, dtype=int), (np.arange(N) < 5).astype(int), np.arange(N) % 3):
        with pytest.warns(UserWarning, match="y should not be presented"):
            vetime.fit(series(), y)
        np.testing.assert_array_equal(vetime.decision_scores_, expected)
        assert vetime.predict_proba(series()).shape == (N, 2)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_deprecated_shortcuts(detector, capsys):
    labels = np.zeros(N, dtype=int)
    labels[N // 2 : N // 2 + 4] = 1
    np.testing.assert_array_equal(detector.fit_predict(series()), detector.labels_)
    area = detector.fit_predict_score(series(), labels)
    assert 0 <= area <= 1
    assert f"roc_auc_score: {area}" in capsys.readouterr().out
    assert 0 <= detector.fit_predict_score(series(), labels, scoring="prc_n_score") <= 1


# ------------------------------------------------------------------------------------------ data
def test_training_data_score_as_in_fit(vetime):
    for width in (1, 3):
        vetime.fit(series(width))
        np.testing.assert_array_equal(vetime.decision_function(series(width)), vetime.decision_scores_)
        np.testing.assert_array_equal(vetime.predict(series(width)), vetime.labels_)


def test_new_data_of_any_length(vetime):
    vetime.fit(series())
    for n in (1, 2, 17, 2 * N):
        for method in METHODS[:-1]:
            result = getattr(vetime, method)(series(n=n, seed=3))
            assert len(result) == n
            assert np.isfinite(result).all()


@pytest.mark.parametrize("method", METHODS)
def test_before_fit(detector, method):
    with pytest.raises(NotFittedError):
        getattr(detector, method)(series())


@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 1, 1), ()])
def test_one_or_two_dimensions(vetime, shape):
    with pytest.raises(ValueError, match="X needs"):
        vetime.fit(np.zeros(shape))
    vetime.fit(series())
    with pytest.raises(ValueError, match="X needs"):
        vetime.decision_function(np.zeros(shape))


# ------------------------------------------------------------------------------------------ predictions
def test_predict_compares_with_the_threshold(detector):
    detector.fit(series())
    try:
        scores = detector.decision_function(series(seed=1))
    except NotImplementedError:
        pytest.skip(f"{type(detector).__name__} scores its training data alone")
    labels = detector.predict(series(seed=1))
    assert labels.dtype == int
    np.testing.assert_array_equal(labels, scores > detector.threshold_)


@pytest.mark.parametrize("method", ["linear", "unify"])
def test_probabilities(detector, method):
    detector.fit(series())
    probabilities = detector.predict_proba(series(seed=1), method=method)
    assert probabilities.shape == (N, 2)
    assert probabilities.min() >= 0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    order = np.argsort(detector.decision_function(series(seed=1)), kind="stable")
    assert (np.diff(probabilities[order, 1]) >= 0).all()


def test_unknown_probability_method(detector):
    with pytest.raises(ValueError, match="softmax"):
        detector.fit(series()).predict_proba(series(), method="softmax")


def test_confidence_goes_with_each_prediction(detector):
    detector.fit(series())
    confidence = detector.predict_confidence(series(seed=1))
    assert confidence.shape == (N,)
    assert ((confidence >= 0) & (confidence <= 1)).all()
    for method in ("predict", "predict_proba"):
        result, beside = getattr(detector, method)(series(seed=1), return_confidence=True)
        np.testing.assert_array_equal(result, getattr(detector, method)(series(seed=1)))
        np.testing.assert_array_equal(beside, confidence)


@pytest.mark.filterwarnings("ignore:The cost of rejection must be positive")
def test_rejection(detector):
    detector.fit(series())
    labels = detector.predict(series(seed=1))
    kept, stats = detector.predict_with_rejection(series(seed=1), T=8, return_stats=True)
    assert ((kept == labels) | (kept == -2)).all()
    assert np.isfinite(stats).all()
    assert len(stats) == 3
    np.testing.assert_array_equal(kept, detector.predict_with_rejection(series(seed=1), T=8))
    assert detector.rejection_threshold_ == 1 - 2 * np.exp(-8)
    rejected = [(detector.predict_with_rejection(series(seed=1), T=T) == -2).sum() for T in (1, 8, 32)]
    assert rejected == sorted(rejected)


def test_rank(detector):
    detector.fit(series())
    ranks = detector._predict_rank(series(seed=1))
    scores = detector.decision_function(series(seed=1))
    np.testing.assert_array_equal(ranks, [(detector.decision_scores_ < score).sum() for score in scores])
    assert detector._predict_rank(series(seed=1), normalized=True).max() == 1


def test_derived_values_are_those_of_the_base_class():
    detector = VETime(contamination=0.07).fit(series())
    data = series(seed=1)
    for method in ("linear", "unify"):
        np.testing.assert_array_equal(
            detector.predict_proba(data, method), BaseDetector.predict_proba(detector, data, method)
        )
    np.testing.assert_array_equal(
        detector.predict_confidence(data), BaseDetector.predict_confidence(detector, data)
    )
    np.testing.assert_array_equal(detector.predict(data), BaseDetector.predict(detector, data))
    options = {"T": 16, "c_r": 0.2, "return_stats": True}
    ours, theirs = (
        detector.predict_with_rejection(data, **options),
        BaseDetector.predict_with_rejection(detector, data, **options),
    )
    np.testing.assert_array_equal(ours[0], theirs[0])
    assert ours[1] == theirs[1]


# ------------------------------------------------------------------------------------------ copies
@pytest.mark.parametrize("store", ["pickle", "joblib"])
def test_stored_detectors_score_the_same(detector, store, tmp_path):
    detector.fit(series())
    if store == "pickle":
        loaded = pickle.loads(pickle.dumps(detector))
    else:
        joblib.dump(detector, tmp_path / "detector.joblib")
        loaded = joblib.load(tmp_path / "detector.joblib")
    assert loaded.get_params() == detector.get_params()
    test = series(seed=1)
    np.testing.assert_array_equal(loaded.predict_proba(test), detector.predict_proba(test))
    np.testing.assert_array_equal(loaded.labels_, detector.labels_)
