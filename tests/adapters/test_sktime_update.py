"""The sktime adapter as data arrive: `update`."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("sktime")

from pandas.testing import assert_frame_equal, assert_index_equal

from tests._tiny import save_tiny_weights
from tests.adapters._sktime import SPLIT, N, frame, values
from vetime_plugins.adapters.sktime import VETimeDetector
from vetime_plugins.errors import InputError
from vetime_plugins.pipeline import cached_pipeline
from vetime_plugins.streaming import StreamingVETime
from vetime_plugins.thresholds import find_threshold


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights that are fast to run, where a test scores point by point."""
    return save_tiny_weights(tmp_path_factory.mktemp("weights"))


def test_update_scores_as_a_stream_does(weights):
    x = frame().set_axis(pd.date_range("2024-01-01", periods=N, freq="h", tz="Asia/Tokyo"))
    past, new = x[:SPLIT], x[SPLIT : SPLIT + 20]
    detector = VETimeDetector(weights, context=64, threshold="quantile", contamination=0.05).fit(past)
    assert detector.update(new) is detector
    stream = StreamingVETime(64, weights=weights)
    stream.warm_up(past)
    scores = np.concatenate([cached_pipeline(weights).score(past), stream.update(new)])
    np.testing.assert_allclose(detector.scores_, scores, atol=1e-6)
    assert_index_equal(detector.scores_.index, x.index[: SPLIT + 20], exact=True)
    assert_frame_equal(detector.reference_, x[: SPLIT + 20], check_freq=False)
    assert detector.threshold_ == pytest.approx(find_threshold(scores, contamination=0.05), abs=1e-6)
    # and what was updated with keeps these scores: it must not be compared with itself
    np.testing.assert_allclose(detector.transform_scores(new)["scores"], scores[SPLIT:], atol=1e-6)


def test_update_sees_only_the_past(weights):
    x = frame(1)
    changed = x.copy()
    changed[SPLIT + 20 :] += 10
    a = VETimeDetector(weights, context=64).fit(x[:SPLIT]).update(x[SPLIT : SPLIT + 40])
    b = VETimeDetector(weights, context=64).fit(x[:SPLIT]).update(changed[SPLIT : SPLIT + 40])
    np.testing.assert_allclose(a.scores_[: SPLIT + 20], b.scores_[: SPLIT + 20], atol=1e-6)
    assert not np.allclose(a.scores_[SPLIT + 20 :], b.scores_[SPLIT + 20 :], atol=1e-3)


def test_update_in_strides(weights):
    x = frame(1)
    detector = VETimeDetector(weights, context=64, stride=16).fit(x[:SPLIT]).update(x[SPLIT : SPLIT + 40])
    stream = StreamingVETime(64, weights=weights, stride=16)
    stream.warm_up(x[:SPLIT])
    expected = [*stream.update(x[SPLIT : SPLIT + 40]), *stream.flush()]
    np.testing.assert_allclose(detector.scores_[SPLIT:], expected, atol=1e-6)


def test_update_predict_gives_positions_in_the_new_data(weights):
    x = frame(1)
    new = x[SPLIT : SPLIT + 30]
    stream = StreamingVETime(64, weights=weights)
    stream.warm_up(x[:SPLIT])
    scores = stream.update(new)
    detector = VETimeDetector(weights, context=64, threshold=float(np.median(scores))).fit(x[:SPLIT])
    events = detector.update_predict(new)
    np.testing.assert_array_equal(events["ilocs"], np.flatnonzero(scores > np.median(scores)))
    assert len(events) == 15
    assert_frame_equal(events, detector.predict(new))


@pytest.mark.parametrize("convert", [lambda x: x, lambda x: x[:, 0]], ids=["(T, C)", "(T,)"])
def test_arrays_follow_what_was_seen(weights, convert):
    x = values(1)
    detector = VETimeDetector(weights, context=32).fit(convert(x[:SPLIT]))
    detector.update(convert(x[SPLIT : SPLIT + 5]))
    events = detector.update_predict(convert(x[SPLIT + 5 : SPLIT + 9]))
    assert events["ilocs"].isin(range(4)).all()
    assert_index_equal(detector.reference_.index, pd.RangeIndex(SPLIT + 9), exact="equiv")
    np.testing.assert_array_equal(detector.reference_, x[: SPLIT + 9])


def test_update_replaces_known_rows(weights):
    x = frame(1)
    corrected = x[SPLIT - 10 : SPLIT + 10] + 100
    detector = VETimeDetector(weights, context=32).fit(x[:SPLIT]).update(corrected)
    assert_frame_equal(detector.reference_, pd.concat([x[: SPLIT - 10], corrected]))
    stream = StreamingVETime(32, weights=weights)
    stream.warm_up(x[: SPLIT - 10])
    np.testing.assert_allclose(detector.scores_[SPLIT - 10 :], stream.update(corrected), atol=1e-6)
    early = VETimeDetector(weights, context=32).fit(x[50:SPLIT]).update(x[:50])
    assert_frame_equal(early.reference_, x[:SPLIT])


def test_update_keeps_the_latest(weights):
    x = frame(1)
    detector = (
        VETimeDetector(weights, context=32, max_reference=100).fit(x[:SPLIT]).update(x[SPLIT : SPLIT + 30])
    )
    assert_frame_equal(detector.reference_, x[SPLIT - 70 : SPLIT + 30])
    assert len(detector.scores_) == 100
    assert detector.threshold_ == find_threshold(detector.scores_, "auto")


def test_a_fixed_threshold_stays(weights):
    x = frame(1)
    detector = VETimeDetector(weights, context=32, threshold=0.3).fit(x[:SPLIT])
    assert detector.update(x[SPLIT : SPLIT + 5]).threshold_ == 0.3


def test_empty_update_changes_nothing(weights):
    x = frame(1)
    detector = VETimeDetector(weights).fit(x)
    before = pickle.dumps(detector.get_fitted_params())
    assert pickle.dumps(detector.update(x[:0]).get_fitted_params()) == before


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (pd.Series([1.0, 2.0], index=pd.date_range("2024-02-01", periods=2, tz="UTC")), "kind of time index"),
        (
            pd.Series([1.0, 2.0], index=pd.period_range("2024-02-01", periods=2, freq="h")),
            "kind of time index",
        ),
        (pd.Series([1.0, 2.0]), "kind of time index"),
        (np.ones(2), "no index to continue"),
        (pd.Series([1.0, 2.0], index=pd.DatetimeIndex(["2024-02-01"] * 2)), "duplicates"),
        (pd.DataFrame({"a": [1.0], "b": [2.0]}, index=pd.DatetimeIndex(["2024-02-01"])), "2"),
        (pd.Series([1.0, np.inf], index=pd.date_range("2024-02-01", periods=2)), "infinite|inf"),
        (pd.Series(["a", "b"], index=pd.date_range("2024-02-01", periods=2)), "number"),
    ],
    ids=["time zone", "periods", "integers", "array", "duplicates", "width", "infinite", "text"],
)
def test_refused_updates_change_nothing(weights, new, message):
    x = pd.Series(values()[:, 0], index=pd.date_range("2024-01-01", periods=N, freq="h"))
    detector = VETimeDetector(weights, context=32).fit(x)
    untouched = VETimeDetector(weights, context=32).fit(x)
    with pytest.raises(InputError, match=message):
        detector.update(new)
    more = pd.Series(np.zeros(3), index=pd.date_range("2024-02-01", periods=3, freq="h"))
    assert_frame_equal(detector.update(more).reference_, untouched.update(more).reference_)
    assert detector.threshold_ == untouched.threshold_


@pytest.mark.parametrize("context", [4, 16])
@pytest.mark.parametrize("variables", [1, 2])
@pytest.mark.parametrize("known", [1, 2, 18])
def test_update_goes_on_after_a_piece_that_was_silent_before_its_end(weights, context, variables, known):
    x = frame(variables)
    x.iloc[: 20 - known, -1] = np.nan  # what would be the reference has no value
    detector = VETimeDetector(weights, context=context).fit(x[:20])
    scores = detector.update(x[20:40]).transform_scores(x[20:40])["scores"]
    assert np.isfinite(scores).all()
    assert len(detector.scores_) == 40


def test_scores_go_on_after_an_outage_as_long_as_the_reference(weights):
    x = frame(2)
    x.iloc[20:40, 0] = np.nan
    detector = VETimeDetector(weights, context=8, max_reference=20).fit(x[:20]).update(x[20:40])
    np.testing.assert_allclose(
        detector.transform_scores(x[50:])["scores"], cached_pipeline(weights).score(x[50:])
    )
