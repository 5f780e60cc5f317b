"""Names and objects of all frameworks become candidates that are fitted and score alike."""

from __future__ import annotations

import copy
import importlib.util
import pickle

import numpy as np
import pytest

from tests._tiny import save_tiny_weights
from tests.selection._fakes import Distance, Failing, wave
from vetime_plugins import detectors
from vetime_plugins.errors import InputError
from vetime_plugins.selection.candidates import DEFAULT_CANDIDATES, VETIME, _Registered, resolve, resolve_all

SERIES = wave(400)[:, None]
SERIES[200] += 5


def pyod():
    from pyod.models.knn import KNN

    return KNN()


def sklearn():
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=20, random_state=0)


def sklearn_lof():
    from sklearn.neighbors import LocalOutlierFactor

    return LocalOutlierFactor(novelty=True)


def sklearn_pipeline():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(make_pipeline(StandardScaler()), make_pipeline(StandardScaler(), sklearn()))


def pyod_pipeline():
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), pyod())


def sktime():
    from sktime.detection.hampel import HampelDetector

    return HampelDetector(window_length=10)


def darts():
    from darts.ad.scorers import KMeansScorer

    return KMeansScorer(window=4, k=5, random_state=0)


def merlion():
    from merlion.models.anomaly.stat_threshold import StatThreshold, StatThresholdConfig

    return StatThreshold(StatThresholdConfig(target_seq_index=0))


OBJECTS = [pyod, pyod_pipeline, sklearn, sklearn_lof, sklearn_pipeline, sktime, darts, merlion]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return save_tiny_weights(tmp_path_factory.mktemp("tiny"))


@pytest.mark.filterwarnings("ignore")  # the frameworks' own
@pytest.mark.parametrize("make", OBJECTS, ids=lambda make: make.__name__)
class TestObjects:
    @pytest.fixture(autouse=True)
    def _framework(self, make):
        pytest.importorskip(make.__name__.split("_")[0])

    def test_the_spike_stands_out(self, make):
        scores = resolve(make()).fit(SERIES, 40, 0).scores
        assert scores.shape == (400,)
        assert np.isfinite(scores).all()
        assert 196 <= scores.argmax() <= 204  # high is anomalous, whatever the framework's sign

    def test_new_data_are_scored_by_what_was_fitted(self, make):
        fitted = resolve(make()).fit(SERIES, 40, 0)
        later = wave(150, seed=1)[:, None]
        later[70] += 5
        scores = fitted.score(later)
        assert scores.shape == (150,)
        assert 66 <= scores.argmax() <= 74

    def test_gaps_and_repetition(self, make):
        given = make()
        before = pickle.dumps(given)
        gaps = SERIES.copy()
        gaps[50:53] = np.nan
        candidate = resolve(given)
        one, two = candidate.fit(gaps, 40, 0).scores, candidate.fit(gaps, 40, 0).scores
        np.testing.assert_array_equal(one, two)
        assert np.isfinite(one).all()
        assert pickle.dumps(given) == before  # the user's object is never fitted


class TestNames:
    @pytest.mark.parametrize("name", ["sub-knn", "moving-variance", "pyod-spectral-residual"])
    def test_leaderboard(self, name):
        if detectors.get(name).missing():
            pytest.skip(f"{name} needs {detectors.get(name).missing()}")
        fitted = resolve(name).fit(SERIES, 40, 0)
        np.testing.assert_array_equal(fitted.scores, detectors.get(name).fit_score(SERIES, 400, 40))
        np.testing.assert_array_equal(fitted.score(SERIES), fitted.scores)
        assert fitted.score(SERIES[:90] + 0.01).shape == (90,)

    def test_vetime(self, tiny):
        from vetime_plugins.pipeline import cached_pipeline

        pipeline = cached_pipeline(tiny, device="cpu")
        fitted = resolve(VETIME, weights=tiny, device="cpu").fit(SERIES, 40, 0)
        np.testing.assert_array_equal(fitted.scores, pipeline.score(SERIES))
        np.testing.assert_array_equal(fitted.score(SERIES), fitted.scores)
        later = wave(200, seed=3)[:, None]
        np.testing.assert_array_equal(fitted.score(later), pipeline.score(later, reference=SERIES))
        copied = pickle.loads(pickle.dumps(fitted))
        np.testing.assert_array_equal(copied.score(later), fitted.score(later))

    def test_default_candidates_exist(self):
        assert set(DEFAULT_CANDIDATES) - {VETIME} <= set(detectors.names())

    def test_device_reaches_detectors(self):
        assert resolve("vetime-pyod", device="cuda").detector.device == "cuda"
        assert resolve("sub-knn", device="cuda").detector.device == "cpu"

    def test_two_objects_of_a_class_are_told_apart(self):
        found = resolve_all([Distance(), Distance(), "sub-knn", Failing()])
        assert [one.name for one in found] == ["Distance", "Distance-2", "sub-knn", "Failing"]
        assert resolve_all("sub-knn")[0].name == "sub-knn"

    def test_two_of_a_name_are_told_apart(self):
        other = detectors.get("sub-knn", n_neighbors=2)
        assert [one.name for one in resolve_all([other, "sub-knn", other])] == [
            "sub-knn",
            "sub-knn-2",
            "sub-knn-3",
        ]

    def test_what_a_detector_writes_into_its_input_stays_its_own(self):
        class Careless:
            name = "careless"
            sees_train, supports_multivariate = False, True

            def fit_score(self, values, train_length, period=None, seed=0):
                values[:] = 0
                return values[:, 0]

        values = SERIES.copy()
        candidate = _Registered("careless", Careless(), None)
        candidate.fit(values, 40, 0).score(values[:50])
        np.testing.assert_array_equal(values, SERIES)

    def test_a_detector_of_the_leaderboard(self):
        detector = detectors.get("sub-knn", n_neighbors=2)
        scores = resolve(detector).fit(SERIES, 40, 0).scores
        np.testing.assert_array_equal(scores, detector.fit_score(SERIES, 400, 40))

    @pytest.mark.parametrize(
        ("candidates", "message"),
        [
            (["no-such"], "no detector 'no-such'"),
            ([3], r"fit and decision_function.*got int"),
            ([Distance], "got the class Distance; call it first"),
            (["sub-knn", "sub-knn"], "'sub-knn' is named twice"),
            ([], "at least one candidate"),
        ],
    )
    def test_unusable_ones(self, candidates, message):
        with pytest.raises(InputError, match=message):
            resolve_all(candidates)


@pytest.mark.parametrize("name", ["sub-knn", "moving-variance"])
def test_what_was_fitted_can_be_pickled_and_copied(name):
    fitted = resolve(name).fit(SERIES, 40, 0)
    for twin in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(twin.score(SERIES[:100]), fitted.score(SERIES[:100]))


def test_no_framework_is_imported_to_name_candidates():
    assert importlib.util.find_spec("vetime_plugins.selection.objects")
    import subprocess
    import sys

    code = (
        "import sys; from vetime_plugins.selection import select_detector; "
        "from vetime_plugins.selection.candidates import resolve_all, DEFAULT_CANDIDATES; "
        "resolve_all(('vetime', 'sub-knn')); "
        "print([name for name in ('torch', 'darts', 'sktime') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
