"""What Darts promises of every fittable anomaly scorer, checked on each configuration of `VETimeScorer`.

Two scorers of Darts go through the same checks: a check that they fail would be ours, not Darts'.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("darts")

from darts import TimeSeries, metrics
from darts.ad.detectors import IQRDetector, QuantileDetector, ThresholdDetector
from darts.ad.scorers import KMeansScorer, NormScorer
from darts.ad.scorers.scorers import AnomalyScorer, FittableAnomalyScorer, WindowedAnomalyScorer

from vetime_plugins.adapters.darts import VETimeScorer

LENGTH = 240
SPIKE = slice(150, 153)
NEAR = slice(126, 177)  # a scorer may spread what it sees over a period

VETIME = {
    "default": lambda: VETimeScorer(),
    "component_wise": lambda: VETimeScorer(component_wise=True),
    "signed_residuals": lambda: VETimeScorer(diff_fn=metrics.err, threshold=0.5, max_reference=100),
    "window": lambda: VETimeScorer(readout="window", threshold="pot", component_wise=True),
}
DARTS = {
    "darts_kmeans": lambda: KMeansScorer(window=1, k=4, random_state=0, n_init=1),
    "darts_kmeans_component_wise": lambda: KMeansScorer(
        window=1, k=4, random_state=0, n_init=1, component_wise=True
    ),
}


@pytest.fixture(params=[*VETIME, *DARTS])
def scorer(request):
    return {**VETIME, **DARTS}[request.param]()


@pytest.fixture(params=VETIME)
def vetime(request):
    return VETIME[request.param]()


def make_values(width=1, length=LENGTH, seed=0):
    steps = np.arange(length)[:, None] + 7 * np.arange(width)
    return np.sin(2 * np.pi * steps / 24) + 0.05 * np.random.default_rng(seed).normal(size=(length, width))


def make_series(width=1, length=LENGTH, *, start="2024-03-01", freq="h", dtype=np.float64, seed=0):
    return TimeSeries.from_times_and_values(
        pd.date_range(start, periods=length, freq=freq),
        make_values(width, length, seed).astype(dtype),
        columns=[f"sensor_{i}" for i in range(width)],
    )


def with_spike(series):
    values = series.values()
    values[SPIKE] += 4
    return series.with_values(values)


def make_anomalies(width=1):
    values = np.zeros((LENGTH, width))
    values[SPIKE] = 1
    return make_series(width).with_values(values)


def is_joint(scorer, series):
    return scorer.is_univariate and series.width > 1


def test_is_a_fittable_scorer_and_not_a_windowed_one(vetime):
    assert isinstance(vetime, FittableAnomalyScorer)
    assert not isinstance(vetime, WindowedAnomalyScorer)
    assert vetime.is_trainable
    assert not vetime.is_probabilistic
    assert vetime.window == 1
    assert vetime.is_univariate is (not vetime.component_wise)
    assert str(vetime) == "VETimeScorer (weights=small)"


@pytest.mark.parametrize("width", [1, 3])
def test_one_series_in_one_series_out(scorer, width):
    series = make_series(width)
    assert scorer.fit(series) is scorer
    assert scorer.width_trained_on == width
    scores = scorer.score(series)
    assert isinstance(scores, TimeSeries)
    assert scores.width == (1 if is_joint(scorer, series) else width)
    assert scores.n_samples == 1
    assert np.isfinite(scores.values()).all()


@pytest.mark.parametrize("container", [list, tuple])
@pytest.mark.parametrize("width", [1, 2])
def test_a_sequence_is_scored_one_by_one(scorer, container, width):
    several = container(make_series(width, length, seed=length) for length in (90, LENGTH, 120))
    scorer.fit(several)
    scores = scorer.score(several)
    assert isinstance(scores, list)
    for one, expected in zip(scores, [scorer.score(series) for series in several], strict=True):
        assert one.time_index.equals(expected.time_index)
        np.testing.assert_allclose(one.values(), expected.values(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("freq", ["min", "h", "D", "B", "W-WED", "MS", "YE"])
def test_datetime_index_and_frequency_stay(vetime, freq):  # Darts' own scorers cannot do days on pandas 3
    series = make_series(2, freq=freq, start="1900-01-01")
    scores = vetime.fit(series).score(series)
    assert scores.time_index.equals(series.time_index)
    assert scores.freq == series.freq
    assert scores.time_index.name == series.time_index.name


@pytest.mark.parametrize(("start", "step"), [(0, 1), (10, 1), (-30, 5)])
def test_range_index_stays(scorer, start, step):
    index = pd.RangeIndex(start, start + step * LENGTH, step, name="cycle")
    series = TimeSeries.from_times_and_values(index, make_values(2))
    scores = scorer.fit(series).score(series)
    assert isinstance(scores.time_index, pd.RangeIndex)
    assert scores.time_index.equals(index)
    assert scores.time_index.name == "cycle"


def test_component_names_stay_where_scores_match_components(scorer):
    assert list(scorer.fit(make_series(1)).score(make_series(1)).components) == ["sensor_0"]
    scores = scorer.fit(make_series(3)).score(make_series(3))
    if is_joint(scorer, make_series(3)):
        assert len(scores.components) == 1
    else:
        assert list(scores.components) == ["sensor_0", "sensor_1", "sensor_2"]


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_stays(vetime, dtype, width):
    assert vetime.score(make_series(width, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("width", [1, 2])
def test_input_is_left_alone_and_scores_repeat(scorer, width):
    series, test = make_series(width), with_spike(make_series(width, seed=1))
    before = test.copy()
    scorer.fit(series)
    first = scorer.score(test)
    assert test == before
    np.testing.assert_array_equal(first.values(), scorer.score(test).values())
    first.values(copy=False)[:] = -1  # the caller's to change
    assert scorer.score(test).values().min() > -1


@pytest.mark.parametrize("width", [1, 2])
def test_anomalous_points_score_higher(scorer, width):
    scorer.fit(make_series(width))
    values = scorer.score(with_spike(make_series(width, seed=1))).values()
    elsewhere = np.delete(values, np.arange(NEAR.start, NEAR.stop), axis=0)
    assert (values[SPIKE].max(axis=0) > np.quantile(elsewhere, 0.95, axis=0)).all()


@pytest.mark.parametrize("width", [1, 2])
def test_eval_metric(scorer, width):
    scorer.fit(make_series(width))
    test = with_spike(make_series(width, seed=1))
    components = 1 if is_joint(scorer, test) else width
    for metric in ("AUC_ROC", "AUC_PR"):
        value = scorer.eval_metric(make_anomalies(components), test, metric=metric)
        assert np.shape(value) == (() if components == 1 else (components,))
        assert np.all(np.asarray(value) > (0.9 if metric == "AUC_ROC" else 0.05))  # by chance 0.5 and 0.0125
    values = scorer.eval_metric([make_anomalies(components)] * 2, [test, test])
    assert np.shape(values) == ((2,) if components == 1 else (2, components))


@pytest.mark.parametrize("make", [VETIME["default"], DARTS["darts_kmeans"]], ids=["vetime", "darts"])
def test_eval_metric_refuses_anomalies_of_components_for_a_joint_score(make):
    scorer = make().fit(make_series(2))
    with pytest.raises(ValueError, match="univariate anomaly score"):
        scorer.eval_metric(make_anomalies(2), make_series(2))


@pytest.mark.parametrize("width", [1, 2])
def test_prediction_pairs_are_scored_as_their_difference(scorer, width):
    actual, predicted = with_spike(make_series(width)), make_series(width, seed=3)
    difference = actual.with_values(
        scorer.diff_fn(actual, predicted, component_reduction=None).reshape(LENGTH, width)
    )
    fitted = copy.deepcopy(scorer).fit(difference)
    scorer.fit_from_prediction(actual, predicted)
    expected = fitted.score(difference)
    scores = scorer.score_from_prediction(actual, predicted)
    assert scores.components.equals(expected.components)
    np.testing.assert_allclose(scores.values(), expected.values(), rtol=0, atol=1e-6)
    several = scorer.score_from_prediction([actual, actual], [predicted, actual])
    assert [len(one) for one in several] == [LENGTH, LENGTH]
    np.testing.assert_allclose(several[0].values(), expected.values(), rtol=0, atol=1e-6)
    components = 1 if is_joint(scorer, actual) else width
    value = scorer.eval_metric_from_prediction(make_anomalies(components), actual, predicted)
    assert np.shape(value) == (() if components == 1 else (components,))


def test_prediction_of_a_part_scores_that_part(scorer):
    actual, predicted = make_series(2), make_series(2, seed=3)[60:200]
    scorer.fit_from_prediction(actual, predicted)
    scores = scorer.score_from_prediction(actual, predicted)
    assert scores.time_index.equals(predicted.time_index)


def test_stochastic_prediction_counts_as_its_median(scorer):
    actual = make_series(2)
    noise = np.random.default_rng(0).normal(size=(LENGTH, 2, 11))
    predicted = actual.with_values(make_values(2, seed=5)[:, :, None] + noise)
    median = actual.with_values(np.median(predicted.all_values(), axis=2))
    scorer.fit_from_prediction(actual, median)
    np.testing.assert_allclose(
        scorer.score_from_prediction(actual, predicted).values(),
        scorer.score_from_prediction(actual, median).values(),
        rtol=0,
        atol=1e-6,
    )


@pytest.mark.parametrize("bad", ["pairs", "widths", "times"])
def test_prediction_pairs_that_do_not_fit_are_refused(scorer, bad):
    actual, predicted = {
        "pairs": ([make_series(), make_series()], [make_series()]),
        "widths": (make_series(2), make_series(1)),
        "times": (make_series(), make_series(start="2030-01-01")),
    }[bad]
    with pytest.raises(ValueError):  # noqa: PT011  (the messages are Darts')
        scorer.fit_from_prediction(actual, predicted)


def test_width_of_fit_is_required(scorer):
    scorer.fit(make_series(2))
    with pytest.raises(ValueError, match=r"2"):
        scorer.score(make_series(3))
    with pytest.raises(ValueError, match=r"2"):
        scorer.score([make_series(2), make_series(1)])
    with pytest.raises(ValueError, match=r"component"):
        scorer.fit([make_series(2), make_series(1)])


def test_refit_forgets_the_former_fit(scorer):
    test = with_spike(make_series(2, seed=1))
    expected = copy.deepcopy(scorer).fit(make_series(2)).score(test)
    scorer.fit(make_series(1))
    scorer.fit(make_series(2))
    np.testing.assert_array_equal(scorer.score(test).values(), expected.values())


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda scorer: pickle.loads(pickle.dumps(scorer))])
def test_copies_score_alike(scorer, way):
    scorer.fit(make_series(2))
    test = with_spike(make_series(2, seed=1))
    twin = way(scorer)
    assert str(twin) == str(scorer)
    np.testing.assert_array_equal(twin.score(test).values(), scorer.score(test).values())


@pytest.mark.parametrize("width", [1, 2])
def test_detectors_take_the_scores(scorer, width):
    test = with_spike(make_series(width, seed=1))
    scores = scorer.fit(make_series(width)).score(test)
    for detector in (QuantileDetector(high_quantile=0.98), IQRDetector(scale=3.0)):
        flags = detector.fit_detect(scores)
        assert set(np.unique(flags.values())) <= {0.0, 1.0}
        assert flags.time_index.equals(test.time_index)
    flags = QuantileDetector(high_quantile=0.98).fit_detect(scores)
    assert (flags.values()[NEAR].sum(axis=0) > 0).all()
    flags = ThresholdDetector(high_threshold=float(scores.values().max()) * 0.99).detect(scores)
    assert 0 < flags.values().sum() < LENGTH


def test_stands_beside_other_scorers_in_an_aggregation(scorer):
    actual, predicted = with_spike(make_series(2)), make_series(2, seed=3)
    others = [NormScorer(), NormScorer(component_wise=True)]
    assert all(isinstance(one, AnomalyScorer) for one in [scorer, *others])
    scorer.fit_from_prediction(actual, predicted)
    stacked = others[0].score_from_prediction(actual, predicted)
    stacked = stacked.stack(scorer.score_from_prediction(actual, predicted))
    assert len(set(stacked.components)) == stacked.width
