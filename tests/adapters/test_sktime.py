"""The sktime adapter: sktime's contract beyond its own suite, and where its users use detectors."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from pandas.testing import assert_frame_equal, assert_index_equal
from skbase.lookup import all_objects
from sktime.base import load
from sktime.detection.base import BaseDetector
from sktime.detection.compose import DetectorPipeline
from sktime.exceptions import NotFittedError
from sktime.registry import craft
from sktime.transformations.difference import Differencer

from tests.adapters._sktime import SPLIT, N, frame, values
from vetime_plugins.adapters._shared import DEFAULTS
from vetime_plugins.adapters.sktime import VETimeDetector
from vetime_plugins.errors import InputError
from vetime_plugins.pipeline import VETimePipeline, cached_pipeline
from vetime_plugins.thresholds import find_threshold

INDICES = {
    "range": pd.RangeIndex(N),
    "range from 7 in steps": pd.RangeIndex(7, 7 + 3 * N, 3),
    "integers with gaps": pd.Index(np.cumsum(1 + np.arange(N) % 4)),
    "integers with duplicates": pd.Index(np.arange(N) // 2),
    "time": pd.date_range("2024-03-30", periods=N, freq="h", name="time"),
    "time zone over a clock change": pd.date_range("2024-03-30", periods=N, freq="h", tz="Europe/Oslo"),
    "business days": pd.date_range("2024-01-01", periods=N, freq="B"),
    "irregular time": pd.DatetimeIndex(np.datetime64("2024-01-01", "s") + np.cumsum(1 + np.arange(N) % 7)),
    "periods": pd.period_range("2000-01", periods=N, freq="M", name="month"),
    "durations": pd.timedelta_range("1s", periods=N, freq="2s"),
}


@pytest.fixture
def calls(monkeypatch):
    """Lengths of the series that the pipeline is asked to score, in order."""
    lengths: list[int] = []
    score = VETimePipeline.score

    def counting(self, series, **kwargs):
        lengths.extend([len(one) for one in series] if isinstance(series, list) else [len(series)])
        return score(self, series, **kwargs)

    monkeypatch.setattr(VETimePipeline, "score", counting)
    return lengths


# What it returns


def test_scores_are_those_of_the_pipeline():
    x = frame()
    train, test = x[:SPLIT], x[SPLIT:]
    pipeline = cached_pipeline("small")
    detector = VETimeDetector().fit(train)
    np.testing.assert_allclose(detector.transform_scores(train)["scores"], pipeline.score(train), atol=1e-6)
    expected = pipeline.score(test, reference=train)
    np.testing.assert_allclose(detector.transform_scores(test)["scores"], expected, atol=1e-6)
    assert not np.allclose(expected, pipeline.score(test), atol=1e-6), "the reference has no effect"


@pytest.mark.parametrize("readout", ["point", "window"])
def test_readout_reaches_the_pipeline(readout):
    x = frame()
    found = VETimeDetector(readout=readout).fit(x[:SPLIT]).transform_scores(x[SPLIT:])["scores"]
    np.testing.assert_allclose(
        found, cached_pipeline("small").score(x[SPLIT:], reference=x[:SPLIT], readout=readout), atol=1e-6
    )


def test_the_outputs_agree_with_each_other():
    x = frame()
    detector = VETimeDetector(threshold="quantile", contamination=0.05).fit(x)
    scores = detector.transform_scores(x)
    labels = detector.transform(x)
    events = detector.predict(x)
    assert list(scores.columns) == ["scores"]
    assert list(labels.columns) == ["labels"]
    assert list(events.columns) == ["ilocs"]
    assert scores["scores"].dtype == "float64"
    assert scores["scores"].between(0, 1).all()
    assert labels["labels"].dtype == "int64"
    assert events["ilocs"].dtype == "int64"
    flagged = np.flatnonzero(scores["scores"] > detector.threshold_)
    assert len(flagged) == round(0.05 * N)
    np.testing.assert_array_equal(events["ilocs"], flagged)
    np.testing.assert_array_equal(np.flatnonzero(labels["labels"]), flagged)
    # one score for each event, on the index of the events
    per_event = detector.predict_scores(x)
    assert_index_equal(per_event.index, events.index, exact=True)
    np.testing.assert_array_equal(per_event["scores"], scores["scores"].to_numpy()[flagged])


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
@pytest.mark.parametrize("fitted", [True, False], ids=["fitted data", "new data"])
def test_index_is_kept(index, fitted):
    x = frame().set_axis(index)
    detector = VETimeDetector(threshold="quantile", contamination=0.05)
    detector.fit(x if fitted else frame(seed=1)[:SPLIT])
    scores, labels = detector.transform_scores(x), detector.transform(x)
    for out in (scores, labels):
        assert_index_equal(out.index, index, exact=True)
        assert getattr(out.index, "freq", None) == getattr(index, "freq", None)
    plain = detector.transform_scores(frame())
    np.testing.assert_allclose(scores["scores"], plain["scores"], atol=1e-6)
    events = detector.predict(x)["ilocs"]
    np.testing.assert_array_equal(events, np.flatnonzero(labels["labels"]))
    assert len(events)
    assert_frame_equal(
        VETimeDetector(threshold="quantile", contamination=0.05).fit_transform(x),
        detector.fit(x).transform(x),
    )


def test_time_index_beyond_nanoseconds():
    index = pd.date_range("2024-01-01", periods=N, freq="D", unit="s", tz="UTC")
    out = VETimeDetector().fit_transform(frame().set_axis(index))
    assert_index_equal(out.index, index, exact=True)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x,
        lambda x: x[:, None],
        lambda x: pd.Series(x),
        lambda x: pd.Series(x, name="load"),
        lambda x: pd.DataFrame({"load": x}),
        lambda x: pd.Series(x, dtype="Float64"),
        lambda x: pd.DataFrame({("a", "b"): x}),
        lambda x: np.asfortranarray(np.stack([x, x], axis=1))[:, :1],
    ],
    ids=["(T,)", "(T, 1)", "Series", "named Series", "DataFrame", "nullable", "two-level columns", "strided"],
)
def test_containers_give_the_same_scores(convert):
    x = values()[:, 0]
    detector = VETimeDetector().fit(convert(x[:SPLIT]))
    found = detector.transform_scores(convert(x[SPLIT:]))["scores"]
    expected = cached_pipeline("small").score(x[SPLIT:], reference=x[:SPLIT])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float32", "float16", "Int64", "boolean"])
def test_dtypes(dtype):
    x = pd.DataFrame((values(2) > 0.5).astype(int)).astype(dtype)
    found = VETimeDetector().fit(x[:SPLIT]).transform_scores(x[SPLIT:])["scores"]
    expected = (
        VETimeDetector().fit(x[:SPLIT].astype(float)).transform_scores(x[SPLIT:].astype(float))["scores"]
    )
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_columns_are_matched_by_name():
    x = frame(3)
    detector = VETimeDetector().fit(x[:SPLIT])
    expected = detector.transform_scores(x[SPLIT:])
    shuffled = x[["v1", "v0", "v2"]]
    assert_frame_equal(detector.transform_scores(shuffled[SPLIT:]), expected)
    other_names = x.set_axis(["a", "b", "c"], axis=1)
    assert_frame_equal(detector.transform_scores(other_names[SPLIT:]), expected)
    by_position = detector.transform_scores(x[SPLIT:].to_numpy()).set_axis(expected.index)
    assert_frame_equal(by_position, expected)
    assert list(detector.reference_.columns) == ["v2", "v1", "v0"]


def test_missing_values():
    x = frame()
    x.iloc[[0, 10, 11, 12, 150], 0] = np.nan
    x.iloc[60:70, 1] = np.nan
    scores = VETimeDetector().fit(x).transform_scores(x)["scores"]
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores, cached_pipeline("small").score(x), atol=1e-6)
    nullable = x.astype("Float64")
    np.testing.assert_allclose(
        VETimeDetector().fit(nullable).transform_scores(nullable)["scores"], scores, atol=1e-6
    )


@pytest.mark.parametrize("n", [1, 2, 5, 17])
def test_short_series(n):
    x = frame(n=N)[:n]
    detector = VETimeDetector().fit(x)
    assert detector.transform(x).shape == (n, 1)
    assert detector.transform_scores(frame()).shape == (N, 1)
    assert detector.predict(x)["ilocs"].dtype == "int64"


def test_constant_series_has_no_anomalies():
    for rule in ("auto", "quantile", "std", "pot"):
        detector = VETimeDetector(threshold=rule)
        assert detector.fit_transform(pd.Series(np.full(100, 3.0)))["labels"].sum() == 0


def test_scoring_is_deterministic():
    x = frame()
    first = VETimeDetector().fit(x[:SPLIT]).transform_scores(x[SPLIT:])
    assert_frame_equal(first, VETimeDetector().fit(x[:SPLIT]).transform_scores(x[SPLIT:]), check_exact=True)


def test_segments_lie_between_anomalies():
    x = frame()
    detector = VETimeDetector(threshold="quantile", contamination=0.02).fit(x)
    cuts = detector.predict(x)["ilocs"]
    segments = detector.predict_segments(x)["ilocs"]
    assert isinstance(segments.dtype, pd.IntervalDtype)
    intervals = pd.IntervalIndex(segments)
    assert intervals.closed == "left"
    np.testing.assert_array_equal(intervals.left, [0, *cuts])
    np.testing.assert_array_equal(intervals.right, [*cuts, N])
    assert len(VETimeDetector(threshold=2.0).fit(x).predict_segments(x)) == 0


@pytest.mark.parametrize(
    "method", ["predict_points", "predict_segments", "predict", "transform", "fit", "update"]
)
def test_the_callers_data_stay_as_they_are(method):
    index = pd.date_range("2024-01-01", periods=N, freq="h", name="time")
    x = frame().set_axis(index)
    kept = x.copy()
    getattr(VETimeDetector(stride=50).fit(x[:SPLIT]), method)(x[SPLIT:])
    assert_frame_equal(x, kept)
    assert x.index.name == "time"


def test_fit_keeps_a_copy():
    x = frame()
    detector = VETimeDetector().fit(x)
    before = detector.transform_scores(frame(seed=1))
    x.iloc[:] = 0.0
    assert_frame_equal(detector.transform_scores(frame(seed=1)), before)


# fit: reference and threshold


@pytest.mark.filterwarnings(
    "ignore:the '(std|pot)' threshold:UserWarning", "ignore:contamination=:UserWarning"
)
@pytest.mark.parametrize("rule", ["auto", "quantile", "std", "pot", 0.25])
def test_threshold_rules(rule):
    x = frame()
    detector = VETimeDetector(threshold=rule, contamination=0.03).fit(x)
    scores = cached_pipeline("small").score(x)
    assert detector.threshold_ == pytest.approx(find_threshold(scores, rule, contamination=0.03), abs=1e-6)
    np.testing.assert_allclose(detector.scores_, scores, atol=1e-6)


def test_zero_shot_costs_one_pass(calls):
    x = frame()
    detector = VETimeDetector()
    events, labels = detector.fit_predict(x), detector.fit_transform(x)
    assert calls == [N, N]
    np.testing.assert_array_equal(events["ilocs"], np.flatnonzero(labels["labels"]))
    DetectorPipeline([Differencer(), VETimeDetector()]).fit_transform(x)
    assert calls == [N, N, N]


def test_reference_is_bounded():
    x = frame()
    detector = VETimeDetector(max_reference=50).fit(x[:SPLIT])
    assert_frame_equal(detector.reference_, x[SPLIT - 50 : SPLIT])
    np.testing.assert_allclose(
        detector.transform_scores(x[SPLIT:])["scores"],
        cached_pipeline("small").score(x[SPLIT:], reference=x[SPLIT - 50 : SPLIT]),
        atol=1e-6,
    )


def test_labels_are_ignored():
    x = frame()
    events = pd.DataFrame({"ilocs": [3, 4]})
    assert_frame_equal(VETimeDetector().fit(x, events).transform(x), VETimeDetector().fit(x).transform(x))


@pytest.mark.parametrize(
    "method", ["predict", "transform", "transform_scores", "predict_scores", "predict_points"]
)
def test_fit_comes_first(method):
    with pytest.raises(NotFittedError):
        getattr(VETimeDetector(), method)(frame())
    with pytest.raises(NotFittedError):
        VETimeDetector().update(frame())


# Bad input


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (pd.DataFrame({"a": ["x", "y", "z"]}), "number"),
        (pd.Series([1.0, np.inf, 2.0]), "inf"),
        (pd.DataFrame({"a": []}, dtype=float), "empty|at least one"),
        (np.zeros((2, 3, 4)), "VETimeTransformer"),
    ],
    ids=["text", "infinite", "empty", "panel"],
)
def test_bad_series(x, message):
    with pytest.raises(InputError, match=message):
        VETimeDetector().fit(x)
    with pytest.raises(InputError, match=message):
        VETimeDetector().fit(values()).predict(x)


@pytest.mark.parametrize(
    "x",
    ["a.csv", None, pd.Series([1.0, 2.0], index=[2, 1]), pd.DataFrame(np.ones((2, 2)), columns=["a", "a"])],
    ids=["path", "none", "unsorted", "duplicate columns"],
)
def test_sktime_refuses(x):
    with pytest.raises(TypeError, match="VETimeDetector"):
        VETimeDetector().fit(x)


def test_other_width():
    detector = VETimeDetector().fit(frame(2))
    with pytest.raises(InputError, match=r"2 variable.*got 3"):
        detector.predict(frame(3))


@pytest.mark.parametrize(
    "parameters",
    [
        {"contamination": 0},
        {"contamination": 0.6},
        {"contamination": "auto"},
        {"threshold": "iqr"},
        {"threshold": np.nan},
        {"max_reference": 0},
        {"context": 0},
        {"context": 2.5},
        {"stride": 0},
        {"context": 8, "stride": 9},
    ],
)
def test_bad_parameters(parameters):
    with pytest.raises(InputError, match=next(reversed(parameters))):
        VETimeDetector(**parameters)
    with pytest.raises(ValueError, match=next(reversed(parameters))):
        VETimeDetector().set_params(**parameters)


# An sktime object


def test_parameters_are_shared_with_the_other_adapters():
    defaults = VETimeDetector.get_param_defaults()
    assert {name: defaults[name] for name in DEFAULTS} == dict(DEFAULTS)
    detector = VETimeDetector(contamination=0.2, threshold="std", device="cpu")
    assert detector.clone().get_params() == detector.get_params()
    assert detector.clone() is not detector
    assert detector.set_params(contamination=0.01) is detector
    assert detector.get_params()["contamination"] == 0.01


def test_set_params_forgets_the_fit():
    detector = VETimeDetector().fit(frame())
    detector.set_params(contamination=0.3)
    assert not detector.is_fitted
    assert not hasattr(detector, "threshold_")


def test_fitted_parameters():
    fitted = VETimeDetector().fit(frame()).get_fitted_params()
    assert set(fitted) == {"threshold", "scores", "reference"}


def test_tags():
    tags = VETimeDetector().get_tags()
    expected = {
        "object_type": "detector",
        "task": "anomaly_detection",
        "learning_type": "unsupervised",
        "X_inner_mtype": "pd.DataFrame",
        "fit_is_empty": False,
        "capability:multivariate": True,
        "capability:missing_values": True,
        "capability:update": True,
        "property:randomness": "deterministic",
    }
    assert {name: tags[name] for name in expected} == expected


def test_the_network_is_not_part_of_the_detector():
    x = frame()
    detector = VETimeDetector().fit(x)
    detector.update(x[:3] + 1)
    assert len(pickle.dumps(detector)) < 100_000
    kinds = {type(value).__module__.split(".")[0] for value in vars(detector).values()}
    assert "torch" not in kinds
    assert "vetime_plugins" not in kinds


def test_construction_loads_nothing():
    VETimeDetector(weights="no such folder").clone().set_params(contamination=0.2)


def test_in_a_new_process(tmp_path):
    x = frame()
    detector = VETimeDetector(threshold="quantile", contamination=0.05).fit(x[:SPLIT])
    detector.save(tmp_path / "detector")
    x.to_pickle(tmp_path / "x.pkl")
    script = (
        "import sys, pandas as pd\n"
        "from sktime.base import load\n"
        "folder = sys.argv[1]\n"
        "x = pd.read_pickle(folder + '/x.pkl')[200:]\n"
        "detector = load(folder + '/detector')\n"
        "detector.transform_scores(x).to_pickle(folder + '/scores.pkl')\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=600)
    found = pd.read_pickle(tmp_path / "scores.pkl")
    assert_frame_equal(found, detector.transform_scores(x[SPLIT:]), atol=1e-6)
    again = load(str(tmp_path / "detector"))
    assert_frame_equal(again.transform(x[SPLIT:]), detector.transform(x[SPLIT:]))


def test_import_is_light():
    script = (
        "import sys, sktime.detection.base\n"
        "before = set(sys.modules)\n"  # some versions of sktime import torch themselves
        "import vetime_plugins.adapters.sktime\n"
        "loaded = {'torch', 'pyod', 'darts', 'merlion', 'matplotlib'} & (set(sys.modules) - before)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=600)


def test_without_sktime():
    script = (
        "import sys\n"
        "sys.modules['sktime'] = None\n"
        "from vetime_plugins.errors import MissingDependencyError\n"
        "try:\n"
        "    from vetime_plugins.adapters.sktime import VETimeDetector\n"
        "except MissingDependencyError as error:\n"
        "    print(error)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=600
    )
    wanted = 'VETimeDetector for sktime needs sktime>=1.0; run: pip install "vetime-plugins[sktime]"'
    assert out.stdout.strip() == wanted


def test_look_up():
    found = all_objects(
        object_types=BaseDetector,
        package_name="vetime_plugins.adapters",
        modules_to_ignore=("pyod", "darts", "merlion"),
        filter_tags={"task": "anomaly_detection", "capability:multivariate": True},
    )
    assert found == [("VETimeDetector", VETimeDetector)]


@pytest.mark.filterwarnings("ignore")  # craft imports all of sktime
def test_craft():
    made = craft(
        "\nfrom vetime_plugins.adapters.sktime import VETimeDetector"
        "\nreturn Differencer() * VETimeDetector(contamination=0.2)"
    )
    assert isinstance(made, DetectorPipeline)
    assert made.get_params()["VETimeDetector__contamination"] == 0.2
