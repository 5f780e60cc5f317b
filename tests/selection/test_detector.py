"""The detectors keep the contracts of scikit-learn and PyOD, and work without PyOD."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from tests.selection._fakes import Distance, Noise, wave
from vetime_plugins.errors import InputError
from vetime_plugins.selection import CandidateDetector, SelectedDetector

SERIES = wave(600)
SERIES[300:310] += 3
QUICK = {"candidates": ["sub-knn", "moving-variance"], "budget": None, "n_trials": 2}


@pytest.fixture(scope="module")
def selected():
    return SelectedDetector(**QUICK, contamination=0.05).fit(SERIES)


@pytest.mark.parametrize("number", [np.float32, np.float64, np.float16])
def test_contamination_may_be_a_number_of_numpy(number):
    plain = CandidateDetector("sub-knn", contamination=0.0625).fit(SERIES)
    assert (
        CandidateDetector("sub-knn", contamination=number(0.0625)).fit(SERIES).threshold_ == plain.threshold_
    )
    found = SelectedDetector(**QUICK, contamination=number(0.0625)).fit(SERIES)
    assert found.threshold_ == SelectedDetector(**QUICK, contamination=0.0625).fit(SERIES).threshold_
    for detector in (CandidateDetector("sub-knn"), SelectedDetector(**QUICK)):
        with pytest.raises(InputError, match=r"contamination must be in \(0, 0.5\]"):
            detector.set_params(contamination=number(0.75)).fit(SERIES)


def test_selected_is_the_winner(selected):
    winner = selected.selection_.detector
    assert selected.detector_ is winner
    assert selected.selection_.name == winner.candidate
    for name in ("decision_scores_", "labels_"):
        np.testing.assert_array_equal(getattr(selected, name), getattr(winner, name))
    assert selected.threshold_ == winner.threshold_
    assert selected.labels_[300:310].any()
    np.testing.assert_array_equal(selected.decision_function(SERIES), selected.decision_scores_)
    np.testing.assert_array_equal(selected.predict(SERIES.tolist()), selected.labels_)
    later = selected.decision_function(wave(200, seed=4))
    assert later.shape == (200,)
    np.testing.assert_array_equal(selected.predict(wave(200, seed=4)), later > selected.threshold_)


def test_objects_are_told_apart_after_the_fit():
    detector = SelectedDetector([Noise(), Distance()], budget=None, n_trials=0, default="Distance").fit(
        SERIES
    )
    assert isinstance(detector.detector_.candidate, Distance)


@pytest.mark.parametrize("make", [lambda: SelectedDetector(**QUICK), lambda: CandidateDetector("sub-pca")])
class TestContract:
    def test_parameters(self, make):
        base = pytest.importorskip("sklearn.base")
        detector = make()
        assert base.clone(detector).get_params() == detector.get_params()
        assert detector.set_params(contamination=0.2).contamination == 0.2
        with pytest.raises(ValueError, match="colour"):
            detector.set_params(colour="red")

    def test_pyod(self, make):
        base = pytest.importorskip("pyod.models.base")
        detector = make()
        assert isinstance(detector, base.BaseDetector)
        assert detector.fit(SERIES) is detector
        proba = detector.predict_proba(SERIES.tolist())
        assert proba.shape == (600, 2)
        np.testing.assert_allclose(proba.sum(axis=1), 1)
        labels, confidence = detector.predict(SERIES, return_confidence=True)
        np.testing.assert_array_equal(labels, detector.labels_)
        assert confidence.shape == (600,)
        assert set(np.unique(detector.predict_with_rejection(SERIES, c_r=0.1))) <= {-2, 0, 1}

    def test_pipeline(self, make):
        pytest.importorskip("sklearn")
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        pipeline = make_pipeline(StandardScaler(), make()).fit(SERIES[:, None])
        assert pipeline.decision_function(SERIES[:, None]).shape == (600,)
        assert set(pipeline.predict(SERIES[:, None])) == {0, 1}

    def test_pickle(self, make):
        detector = make().fit(SERIES)
        twin = pickle.loads(pickle.dumps(detector))
        np.testing.assert_array_equal(
            twin.decision_function(SERIES[:99]), detector.decision_function(SERIES[:99])
        )

    def test_misuse(self, make):
        with pytest.raises(InputError, match="call fit first"):
            make().decision_function(SERIES)
        exceptions = pytest.importorskip("sklearn.exceptions")
        with pytest.raises(exceptions.NotFittedError, match="call fit first"):
            make().predict(SERIES)
        with pytest.raises(InputError, match=r"fitted on 1 variable\(s\), got 2"):
            make().fit(SERIES).predict(np.c_[SERIES, SERIES])
        with pytest.raises(InputError, match="random_state must be"):
            make().set_params(random_state=None).fit(SERIES)
        with pytest.raises(InputError, match="X needs shape"):
            make().fit(np.zeros((2, 2, 2)))

    def test_fitted_again(self, make):
        detector = make().fit(SERIES)
        detector.fit(np.c_[SERIES, SERIES][:200])
        assert detector.decision_scores_.shape == (200,)
        assert detector.n_features_in_ == 2


def test_a_copy_of_the_parameters_finds_the_same():
    base = pytest.importorskip("sklearn.base")
    detector = SelectedDetector(["sub-pca", Distance()], budget=None, n_trials=2).fit(SERIES)
    for twin in (base.clone(detector), base.clone(detector.detector_)):
        np.testing.assert_array_equal(twin.fit(SERIES).decision_scores_, detector.decision_scores_)


def test_nested_parameters():
    pytest.importorskip("pyod")
    from pyod.models.knn import KNN

    detector = CandidateDetector(KNN(n_neighbors=5))
    assert detector.get_params()["candidate__n_neighbors"] == 5
    assert detector.set_params(candidate__n_neighbors=7).candidate.n_neighbors == 7


WITHOUT_PYOD = """
import sys
sys.modules["pyod"] = None
import numpy as np
from vetime_plugins.selection import CandidateDetector, SelectedDetector
series = np.sin(np.arange(400) / 4)
series[200] += 4
detector = SelectedDetector(["sub-knn", "pyod-knn"], budget=None, n_trials=1, contamination=0.05).fit(series)
assert [type(detector).__mro__[2].__name__] == ["PlainBase"]
statuses = {one.name: one.status for one in detector.selection_.candidates}
assert statuses == {"sub-knn": "OK", "pyod-knn": "FAILED"}, statuses
assert (detector.predict(series) == detector.labels_).all() and detector.labels_.sum() == 20
twin = type(detector)(**detector.get_params(deep=False))
assert twin.get_params() == detector.get_params()
assert twin.set_params(contamination=0.1).fit_predict(series).sum() == 40
nested = CandidateDetector(CandidateDetector("sub-pca")).set_params(candidate__contamination=0.3)
assert nested.candidate.contamination == nested.get_params()["candidate__contamination"] == 0.3
try:
    twin.set_params(colour="red")
except ValueError as error:
    assert "no parameter 'colour'" in str(error)
print(repr(CandidateDetector("sub-knn")))
"""


def test_without_pyod():
    done = subprocess.run([sys.executable, "-c", WITHOUT_PYOD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("CandidateDetector(candidate='sub-knn'")
