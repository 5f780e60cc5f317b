"""The PyOD adapter: what only it does, and the places where PyOD's users put a detector."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from fractions import Fraction

import joblib
import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pyod")

from pyod.models.base import BaseDetector
from pyod.models.knn import KNN
from pyod.models.lof import LOF
from pyod.utils import persistence
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from vetime_plugins.adapters import _pyod as adapter
from vetime_plugins.adapters.pyod import VETime
from vetime_plugins.errors import InputError
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.thresholds import find_threshold

N = 300


def series(width=2, n=N, seed=0):
    steps = np.arange(n)[:, None] + 9 * np.arange(width)
    values = np.sin(2 * np.pi * steps / 25) + 0.1 * np.random.default_rng(seed).normal(size=(n, width))
    values[n // 2 : n // 2 + 4] += 4
    return values


class Thresholder:
    """The interface of PyOD's thresholders (package pythresh): flags scores above the median plus `width`."""

    def __init__(self, width=0.1):
        self.width = width

    def fit(self, scores):
        self.thresh_ = float(np.median(scores) + self.width)
        self.labels_ = self.predict(scores)
        return self

    def predict(self, scores):
        return (scores > self.thresh_).astype(int)


class Calls:
    """Counts how often the network runs."""

    def __init__(self, monkeypatch):
        self.scored = 0
        self.load = adapter.load_pipeline
        monkeypatch.setattr(adapter, "load_pipeline", self)

    def __call__(self, *args, **kwargs):
        self.pipeline = self.load(*args, **kwargs)
        return self

    def score(self, *args, **kwargs):
        self.scored += 1
        return self.pipeline.score(*args, **kwargs)


# ------------------------------------------------------------------------------------------ data
def test_scores_are_those_of_the_pipeline():
    pipeline = cached_pipeline("small")
    train, test = series(), series(seed=1)[:170]
    for readout in (None, "point", "window"):
        detector = VETime(readout=readout).fit(train)
        np.testing.assert_array_equal(detector.decision_scores_, pipeline.score(train, readout=readout))
        np.testing.assert_array_equal(
            detector.decision_function(test), pipeline.score(test, reference=train, readout=readout)
        )


CONTAINERS = {
    "rows": np.ndarray.tolist,
    "list": lambda x: x.tolist() if x.shape[1] > 1 else x[:, 0].tolist(),
    "1-D": lambda x: x if x.shape[1] > 1 else x[:, 0],
    "frame": pd.DataFrame,
    "index": lambda x: pd.DataFrame(x, pd.date_range("2024-03-31", periods=len(x), freq="h", tz="CET")),
    "nullable": lambda x: pd.DataFrame(x, columns=list("ab")[: x.shape[1]]).convert_dtypes(),
    "Series": lambda x: pd.DataFrame(x) if x.shape[1] > 1 else pd.Series(x[:, 0]),
    "polars": lambda x: pytest.importorskip("polars").DataFrame(x),
    "fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=0)[::2],
    "object": lambda x: x.astype(object),
}


@pytest.fixture(scope="module", params=[1, 2])
def fitted(request):
    return VETime().fit(series(request.param))


@pytest.mark.parametrize("container", CONTAINERS)
def test_containers_do_not_matter(fitted, container):
    values = series(fitted.n_features_in_)
    data = CONTAINERS[container](values)
    np.testing.assert_array_equal(VETime().fit(data).decision_scores_, fitted.decision_scores_)
    np.testing.assert_array_equal(fitted.decision_function(data), fitted.decision_scores_)
    np.testing.assert_array_equal(fitted.predict_proba(data), fitted.predict_proba(values))


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8, bool])
def test_number_types(dtype):
    values = (10 * series()).astype(dtype)
    np.testing.assert_array_equal(
        VETime().fit(values).decision_scores_, VETime().fit(values.astype(np.float64)).decision_scores_
    )


def test_read_only_data_and_no_view_of_them():
    values = series()
    values.flags.writeable = False
    detector = VETime(max_reference=100).fit(values)
    assert detector.reference_.base is None
    np.testing.assert_array_equal(detector.reference_, values[-100:])


@pytest.mark.parametrize(
    "values",
    [[0.5], np.zeros(50), np.full((50, 2), 1e300), series() * 1e300, [np.nan, 1.0, np.nan, *range(20)]],
    ids=["one_point", "zeros", "huge_constant", "huge", "gaps"],
)
@pytest.mark.filterwarnings(
    "ignore:the '(std|pot)' threshold:UserWarning", "ignore:contamination=:UserWarning"
)
@pytest.mark.parametrize("threshold", ["auto", "quantile", "std", "pot", 0.5])
def test_difficult_series_have_finite_results(values, threshold):
    detector = VETime(threshold=threshold).fit(values)
    for result in (
        detector.decision_scores_,
        detector.predict(values),
        detector.predict_proba(values, method="linear"),
        detector.predict_confidence(values),
        detector._predict_rank(values, normalized=True),
    ):
        assert len(result) == len(values)
        assert np.isfinite(result).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], r"shape \(0,\)"),
        (np.empty((0, 2)), r"shape \(0, 2\)"),
        (np.empty((5, 0)), r"shape \(5, 0\)"),
        (np.zeros((2, 3, 4)), r"shape \(2, 3, 4\).*one detector each"),
        (3.0, r"shape \(\)"),
        ([[1, 2], [3]], "rows of one length"),
        (["a", "b"], "numbers"),
        (["1", "2"], "numbers"),
        ([1j, 2], "numbers"),
        (pd.date_range("2024", periods=9), "numbers"),
        ([1.0, np.inf, 2.0], "infinite"),
        (np.c_[np.arange(5.0), np.full(5, np.nan)], "nothing but NaN"),
    ],
)
def test_bad_data_are_named(values, message):
    with pytest.raises(InputError, match=message):
        VETime().fit(values)
    with pytest.raises(InputError, match=message):
        VETime().fit(series(2 if "NaN" in message else 1)).decision_function(values)


def test_other_variables_are_refused():
    detector = VETime().fit(series(2))
    for width in (1, 3):
        with pytest.raises(InputError, match=rf"fitted on 2 variable\(s\), got {width}"):
            detector.predict(series(width))


def test_columns_must_keep_their_names_and_order():
    frame = pd.DataFrame(series(), columns=["pressure", "flow"])
    detector = VETime().fit(frame)
    assert list(detector.feature_names_in_) == ["pressure", "flow"]
    with pytest.raises(InputError, match=r"\['pressure', 'flow'\].*\['flow', 'pressure'\]"):
        detector.decision_function(frame[["flow", "pressure"]])
    np.testing.assert_array_equal(detector.decision_function(frame.to_numpy()), detector.decision_scores_)
    np.testing.assert_array_equal(
        detector.decision_function(frame.set_axis([0, 1], axis=1)), detector.decision_scores_
    )
    assert not hasattr(detector.fit(frame.to_numpy()), "feature_names_in_")


# ------------------------------------------------------------------------------------------ fit
@pytest.mark.parametrize("width", [1, 2])
def test_reference_is_bounded_and_the_scores_still_agree(width):
    detector = VETime(max_reference=120).fit(series(width))
    assert detector.reference_.shape == (120, width)
    assert detector.decision_scores_.shape == (N,)
    np.testing.assert_array_equal(detector.decision_function(series(width)), detector.decision_scores_)


def test_reference_matters():
    # The level of the series is normal or not depending on what was seen before.
    calm, shifted = series(1, seed=1)[:100], series(1)[:100] + 3
    assert not np.array_equal(
        VETime().fit(calm).decision_function(calm), VETime().fit(shifted).decision_function(calm)
    )


def test_a_failed_fit_leaves_the_detector_as_it_was():
    detector = VETime().fit(series())
    before = detector.decision_function(series(seed=1))
    with pytest.raises(InputError):
        detector.fit([1.0, np.inf, 2.0])
    np.testing.assert_array_equal(detector.decision_function(series(seed=1)), before)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"threshold": "median"}, "'quantile', 'std', 'pot'.*'median'"),
        ({"threshold": None}, "threshold must be"),
        ({"threshold": np.nan}, "threshold must be"),
        ({"max_reference": 0}, "max_reference must be a whole number >= 1.*got 0"),
        ({"max_reference": 10.5}, "max_reference must be a whole number"),
        ({"readout": "blurred"}, "readout"),
        ({"dtype": "float8"}, "dtype"),
        ({"device": "abacus"}, "device"),
        ({"contamination": "auto"}, r"\(0, 0.5\] or a thresholder.*'auto'"),
        ({"contamination": None}, "or a thresholder.*None"),
        ({"contamination": Thresholder(), "threshold": "pot"}, "thresholder as contamination.*'pot'"),
    ],
)
def test_bad_parameters_are_named_by_fit(parameters, message):
    detector = VETime(**parameters)  # scikit-learn's rule: nothing is checked or changed before fit
    with pytest.raises(InputError, match=message):
        detector.fit(series())


@pytest.mark.parametrize("number", [np.float32, np.float64, np.float16, Fraction])
def test_contamination_may_be_a_number_of_any_type(number):
    share = number(0.0625)
    detector = VETime(contamination=share).fit(series())
    plain = VETime(contamination=0.0625).fit(series())
    assert detector.contamination is share
    assert detector.threshold_ == plain.threshold_
    np.testing.assert_array_equal(detector.labels_, plain.labels_)
    np.testing.assert_array_equal(
        detector.predict_with_rejection(series(), c_r=0.1), plain.predict_with_rejection(series(), c_r=0.1)
    )
    assert clone(detector).contamination == share
    with pytest.raises(ValueError, match=r"\(0, 0.5\].*got"):  # PyOD's own for float64, on construction
        VETime(contamination=number(0.75)).fit(series())
    with pytest.raises(InputError, match=r"contamination must be"):
        VETime().set_params(contamination=np.bool_(True)).fit(series())


def test_contamination_is_checked_again_after_set_params():
    with pytest.raises(InputError, match=r"\(0, 0.5\].*got 0.7"):
        VETime().set_params(contamination=0.7).fit(series())


# ------------------------------------------------------------------------------------------ thresholds
@pytest.mark.filterwarnings(
    "ignore:the '(std|pot)' threshold:UserWarning", "ignore:contamination=:UserWarning"
)
@pytest.mark.parametrize("rule", ["auto", "quantile", "std", "pot", 0.2, np.float32(0.25)])
def test_threshold_rules(rule):
    detector = VETime(threshold=rule, contamination=0.03).fit(series())
    assert detector.threshold_ == find_threshold(detector.decision_scores_, rule, contamination=0.03)
    np.testing.assert_array_equal(detector.labels_, detector.decision_scores_ > detector.threshold_)
    test = series(seed=1)
    np.testing.assert_array_equal(
        detector.predict(test), detector.decision_function(test) > detector.threshold_
    )


def test_confidence_counts_on_the_share_that_the_threshold_flags():
    test = series(seed=1)
    by_share = VETime(contamination=0.04).fit(series())
    by_score = VETime(threshold=by_share.threshold_, contamination=0.3).fit(series())
    np.testing.assert_array_equal(by_score.labels_, by_share.labels_)
    np.testing.assert_array_equal(by_score.predict_confidence(test), by_share.predict_confidence(test))


@pytest.mark.filterwarnings("ignore:The cost of rejection must be positive")
@pytest.mark.parametrize("threshold", [0.0, 1.0, "pot"])
def test_rejection_is_defined_whatever_share_is_flagged(threshold):
    detector = VETime(threshold=threshold).fit(series())
    labels, stats = detector.predict_with_rejection(series(), return_stats=True)
    assert set(labels) <= {-2, 0, 1}
    assert np.isfinite(stats).all()
    assert detector.compute_rejection_stats() == tuple(stats)


@pytest.mark.parametrize("method", ["linear", "unify"])
@pytest.mark.parametrize("level", [0.0, 0.1])
@pytest.mark.parametrize("threshold", ["quantile", "std", 0.3])
def test_probabilities_where_all_scores_are_equal(method, level, threshold, monkeypatch):
    monkeypatch.setattr(VETime, "_score", lambda self, series, reference: np.full(len(series), level))
    detector = VETime(threshold=threshold).fit(np.zeros(20))
    np.testing.assert_array_equal(detector.predict_proba(np.zeros(20), method=method), [[1, 0]] * 20)
    monkeypatch.setattr(VETime, "_score", lambda self, series, reference: np.array([level, level + 0.5]))
    probability = detector.predict_proba(np.zeros(2), method=method)[:, 1]
    assert probability[0] == 0 < probability[1] <= 1


def test_scores_go_on_after_an_outage_as_long_as_the_reference():
    x = series()
    x[-50:, 1] = np.nan
    detector = VETime(max_reference=50).fit(x)
    np.testing.assert_array_equal(detector.decision_function(x), detector.decision_scores_)


def test_thresholder_as_contamination():
    detector = VETime(contamination=Thresholder()).fit(series())
    assert detector.threshold_ == detector.contamination.thresh_
    np.testing.assert_array_equal(detector.labels_, detector.contamination.labels_)
    test = series(seed=1)
    scores = detector.decision_function(test)
    np.testing.assert_array_equal(detector.predict(test.tolist()), detector.contamination.predict(scores))
    for method in ("linear", "unify"):
        probabilities, confidence = detector.predict_proba(test, method=method, return_confidence=True)
        assert probabilities.shape == (N, 2)
        assert ((confidence >= 0) & (confidence <= 1)).all()
    np.testing.assert_array_equal(confidence, BaseDetector.predict_confidence(detector, test))


@pytest.mark.filterwarnings("ignore:The cost of rejection must be positive")
@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("fit", {}),
        ("decision_function", {}),
        ("predict", {"return_confidence": True}),
        ("predict_proba", {"return_confidence": True}),
        ("predict_confidence", {}),
        ("predict_with_rejection", {"return_stats": True}),
    ],
)
def test_the_network_runs_once_a_call(monkeypatch, method, options):
    detector = VETime().fit(series())
    calls = Calls(monkeypatch)
    getattr(detector, method)(series(), **options)
    assert calls.scored == 1


# ------------------------------------------------------------------------------------------ storage
def test_pickles_hold_no_weights():
    detector = VETime(max_reference=500).fit(series(n=2000))
    kept = sum(a.nbytes for a in (detector.reference_, detector.decision_scores_, detector.labels_))
    assert len(pickle.dumps(detector)) < kept + 4000
    assert len(pickle.dumps(VETime())) < 1000


def test_stored_detectors_work_in_a_new_process(tmp_path):
    detector = VETime(threshold="std", max_reference=200).fit(series())
    (tmp_path / "detector.pickle").write_bytes(pickle.dumps(detector))
    joblib.dump(detector, tmp_path / "detector.joblib")
    persistence.save(detector, tmp_path / "detector.pyod", metadata={"unit": "bar"})
    np.save(tmp_path / "test.npy", series(seed=1))
    program = """
        import pickle, sys
        from pathlib import Path
        import joblib, numpy as np
        from pyod.utils import persistence

        folder = Path(sys.argv[1])
        detectors = [
            pickle.loads((folder / "detector.pickle").read_bytes()),
            joblib.load(folder / "detector.joblib"),
            persistence.load(folder / "detector.pyod", trusted=True, strict=True),
        ]
        assert "torch" not in sys.modules
        test = np.load(folder / "test.npy")
        np.save(folder / "scores.npy", [d.decision_function(test) for d in detectors])
        np.save(folder / "labels.npy", [d.predict(test) for d in detectors])
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=True)
    for scores in np.load(tmp_path / "scores.npy"):
        np.testing.assert_allclose(scores, detector.decision_function(series(seed=1)), atol=1e-6)
    for labels in np.load(tmp_path / "labels.npy"):
        np.testing.assert_array_equal(labels, detector.predict(series(seed=1)))


# ------------------------------------------------------------------------------------------ ensembles
def test_sklearn_pipeline():
    model = make_pipeline(StandardScaler(), VETime(contamination=0.02)).fit(series())
    detector = VETime(contamination=0.02).fit(StandardScaler().fit_transform(series()))
    scaled = StandardScaler().fit(series()).transform(series(seed=1))
    np.testing.assert_array_equal(model.decision_function(series(seed=1)), detector.decision_function(scaled))
    np.testing.assert_array_equal(model.predict(series(seed=1)), detector.predict(scaled))
    assert model.predict_proba(series(seed=1)).shape == (N, 2)
    model.set_params(vetime__threshold="std").fit(series())
    assert model["vetime"].threshold_ == find_threshold(detector.decision_scores_, "std")


def test_lscp():
    from pyod.models.lscp import LSCP

    ensemble = LSCP([VETime(), LOF(n_neighbors=20)], random_state=0, local_region_size=30, n_bins=2)
    ensemble.fit(series())
    assert ensemble.decision_scores_.shape == (N,)
    assert np.isfinite(ensemble.decision_scores_).all()
    assert set(ensemble.predict(series(seed=1))) == {0, 1}


@pytest.mark.filterwarnings("ignore")  # importing suod runs `warnings.filterwarnings("ignore")` anyway
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_suod(n_jobs, capsys):
    pytest.importorskip("suod")
    from pyod.models.suod import SUOD

    # `bps_flag` would write a cost model into the installed package.
    ensemble = SUOD(
        [VETime(), KNN()], n_jobs=n_jobs, bps_flag=False, rp_flag_global=False, approx_flag_global=False
    )
    ensemble.fit(series())
    scores = np.c_[VETime().fit(series()).decision_scores_, KNN().fit(series()).decision_scores_]
    expected = StandardScaler().fit_transform(scores).mean(axis=1)
    np.testing.assert_allclose(ensemble.decision_scores_, expected, atol=1e-5)
    assert set(ensemble.predict(series(seed=1))) == {0, 1}


def test_score_combination():
    pytest.importorskip("combo")
    from pyod.models import combination
    from pyod.utils.utility import standardizer

    detectors = [VETime().fit(series()), VETime(readout="window").fit(series()), KNN().fit(series())]
    train = np.column_stack([d.decision_scores_ for d in detectors])
    test = np.column_stack([d.decision_function(series(seed=1)) for d in detectors])
    train, test = standardizer(train, test)
    for combined in (
        combination.average(test),
        combination.maximization(test),
        combination.median(test),
        combination.aom(test, n_buckets=3),
        combination.moa(test, n_buckets=3),
    ):
        assert combined.shape == (N,)
        assert np.isfinite(combined).all()
        assert test.min() <= combined.min() <= combined.max() <= test.max()
