"""What must hold for any labels and scores, and what must be refused."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.metrics import _naive
from vetime_plugins import metrics, thresholds
from vetime_plugins.errors import InputError
from vetime_plugins.metrics import METRIC_NAMES, _levels, evaluate

labels_and_scores = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        arrays(np.int8, n, elements=st.integers(0, 1)).filter(lambda y: 0 < y.sum() < y.size),
        arrays(np.float64, n, elements=st.integers(-5, 5).map(float)),
    )
)
# The others search over quantiles, which interpolate between scores: there distances count as well.
RANK_ONLY = ["VUS-ROC", "VUS-PR", "AUC-ROC", "AUC-PR", "PATE"]


@settings(max_examples=60)
@given(labels_and_scores, st.integers(0, 9))
def test_every_value_lies_between_zero_and_one(pair, buffer):
    result = evaluate(*pair, buffer)
    assert tuple(result) == METRIC_NAMES
    assert result.reason is None
    assert all(-1e-12 <= value <= 1 + 1e-9 for value in result.values()), result


@settings(max_examples=60)
@given(labels_and_scores, st.integers(0, 9))
def test_only_the_order_of_the_scores_counts(pair, buffer):
    labels, scores = pair
    first = evaluate(labels, scores, buffer, metrics=RANK_ONLY)
    second = evaluate(labels, np.exp(scores) * 1e-5, buffer, metrics=RANK_ONLY)
    assert dict(first) == pytest.approx(dict(second))


@settings(max_examples=60)
@given(labels_and_scores)
def test_scale_and_offset_of_the_scores_do_not_count(pair):
    labels, scores = pair
    first, second = evaluate(labels, scores, 4), evaluate(labels, scores * 4 + 64, 4)
    assert dict(first) == pytest.approx(dict(second), abs=1e-6)


@pytest.mark.parametrize("exponent", [-1060, -900, -120, 120, 1015])
def test_scores_of_any_size_are_ranked(exponent):
    labels, scores = np.arange(60) % 20 == 7, np.random.default_rng(0).integers(0, 40, 60).astype(float)
    first, second = evaluate(labels, scores, 4), evaluate(labels, np.ldexp(scores, exponent), 4)
    assert dict(first) == pytest.approx(dict(second), abs=1e-6)
    found = metrics.range_f1(labels, np.ldexp(scores, exponent)).threshold
    assert found == pytest.approx(np.ldexp(metrics.range_f1(labels, scores).threshold, exponent))


def test_tensors_with_gradients_are_read():
    torch = pytest.importorskip("torch")
    labels, scores = np.arange(60) % 20 == 7, np.random.default_rng(0).random(60)
    tensors = torch.tensor(labels), torch.tensor(scores, requires_grad=True)
    assert dict(evaluate(*tensors, 4)) == dict(evaluate(labels, scores, 4))
    assert thresholds.find_threshold(tensors[1]) == thresholds.find_threshold(scores)


@pytest.mark.parametrize("buffer", [8, 9, 40])
@pytest.mark.parametrize("labels", [[0, 1], [1, 0, 0], [0, 1, 0]])
def test_vus_of_a_series_shorter_than_the_buffer_equals_the_definition(labels, buffer):
    labels, scores = np.array(labels), np.arange(len(labels), dtype=float)
    assert metrics.vus(labels, scores, buffer) == pytest.approx(_naive.vus(labels, scores, buffer), abs=1e-12)


@settings(max_examples=40)
@given(labels_and_scores, st.integers(0, 9))
def test_time_may_run_backwards_where_the_definition_is_symmetric(pair, buffer):
    labels, scores = pair
    names = ["VUS-ROC", "VUS-PR", "AUC-PR", "Standard-F1", "Affiliation-F1", "Event-F1"]
    forward = evaluate(labels, scores, buffer, metrics=names)
    backward = evaluate(labels[::-1], scores[::-1], buffer, metrics=names)
    assert dict(forward) == pytest.approx(dict(backward), abs=1e-9)


def test_a_perfect_score_is_perfect():
    labels = np.zeros(400, dtype=int)
    labels[[50, 51, 52, 53, 54]] = labels[200:230] = 1
    assert list(evaluate(labels, labels, 0).values()) == pytest.approx([1] * len(METRIC_NAMES))


def test_pointwise_metrics_of_a_constant_score_are_those_of_always_anomalous():
    labels = np.array([0, 0, 1, 1, 0, 0, 0, 0])
    result = evaluate(labels, np.full(8, -3.5), 2)
    assert result["AUC-PR"] == pytest.approx(0.25)
    assert result["AUC-ROC"] == pytest.approx(0.5)
    assert result["Standard-F1"] == pytest.approx(0.4)
    assert result["Affiliation-F1"] == result["F1-T"] == result["PA-F1"] == 0


def test_a_near_miss_counts_in_vus_and_pate_but_not_in_auc():
    labels, hit, near, far = (np.zeros(500) for _ in range(4))
    labels[200:210] = 1
    hit[205] = near[212] = far[400] = 1
    vus = [metrics.vus_pr(labels, score, 20) for score in (hit, near, far)]
    pate = [metrics.pate(labels, score, 20) for score in (hit, near, far)]
    assert vus[0] > vus[1] > vus[2]
    assert pate[0] > pate[1] > pate[2]
    assert metrics.auc_pr(labels, near) == metrics.auc_pr(labels, far)


@pytest.mark.parametrize("labels", [[0, 0, 0], [1, 1, 1], [0], [1]])
def test_undefined_is_nan_with_a_reason(labels):
    result = evaluate(labels, np.arange(len(labels)), 3)
    assert tuple(result) == METRIC_NAMES
    assert np.isnan(list(result.values())).all()
    assert str(len(labels)) in result.reason
    assert metrics.explain_undefined(labels) == result.reason
    scores = np.arange(len(labels))
    for function in (metrics.standard_f1, metrics.affiliation_f1, metrics.range_f1, metrics.event_f1):
        assert np.isnan(function(labels, scores)).all()
    assert np.isnan([metrics.auc_roc(labels, scores), metrics.auc_pr(labels, scores)]).all()
    assert np.isnan([*metrics.vus(labels, scores, 3), metrics.pate(labels, scores, 3)]).all()
    assert np.isnan(metrics.point_adjusted_f1(labels, scores)).all()


@pytest.mark.parametrize(
    ("labels", "scores", "says"),
    [
        ([0, 1], [0.1, 0.2, 0.3], "2 labels and 3 scores"),
        ([0, 2], [0.1, 0.2], "0 \\(normal\\) and 1"),
        ([0, np.nan], [0.1, 0.2], "nan"),
        (["a", "b"], [0.1, 0.2], "dtype"),
        ([0, 1], [0.1, np.nan], "the first at point 1"),
        ([0, 1], [np.inf, 0.2], "finite"),
        ([0, 1], ["a", "b"], "numbers"),
        ([0, 1], [1j, 2j], "real"),
        ([], [], "at least one point"),
        (np.zeros((2, 2)), [0.1, 0.2], r"\(T,\)"),
        ([0, 1], [[1, 2], [3]], "unequal length"),
    ],
)
def test_malformed_input_is_refused(labels, scores, says):
    with pytest.raises(InputError, match=says):
        evaluate(labels, scores, 5)


@pytest.mark.parametrize("buffer", [-1, 2.5, "many", np.inf, np.nan])
def test_a_buffer_that_is_no_number_of_points_is_refused(buffer):
    with pytest.raises(InputError, match="whole number of points"):
        evaluate([0, 1], [0, 1], buffer)


def test_usual_containers_and_types_are_accepted():
    pd = pytest.importorskip("pandas")
    labels, scores = [0, 0, 1, 0, 1, 1, 0, 0], [1, 2, 9, 3, 5, 7, 1, 0]
    expected = dict(evaluate(labels, scores, 3))
    column = np.array(scores, dtype=np.float32)[:, None]
    assert dict(evaluate(np.array(labels, dtype=bool), column, np.int64(3))) == expected
    index = pd.date_range("2024-01-01", periods=8)
    assert dict(evaluate(pd.Series(labels, index), pd.Series(scores, index, dtype=float), 3.0)) == expected


def test_only_the_metrics_asked_for_are_computed_and_unknown_ones_refused():
    assert list(evaluate([0, 1], [0, 1], 2, metrics=("AUC-PR", "VUS-ROC"))) == ["VUS-ROC", "AUC-PR"]
    with pytest.raises(InputError, match="VUS-RP"):
        evaluate([0, 1], [0, 1], 2, metrics="VUS-RP")
    with pytest.raises(InputError, match="none"):
        evaluate([0, 1], [0, 1], 2, metrics=[])


def test_the_buffer_comes_from_the_series_or_is_the_documented_default():
    series = np.sin(2 * np.pi * np.arange(900) / 30)
    labels = np.zeros(100)
    labels[40] = 1
    scores = np.random.default_rng(0).random(100)
    found = evaluate(labels, scores, series=series)
    assert found.buffer == 30
    assert dict(found) == dict(evaluate(labels, scores, 30))
    assert evaluate(labels, scores).buffer == metrics.DEFAULT_BUFFER == 125


@settings(max_examples=100)
@given(arrays(np.int64, st.integers(1, 25), elements=st.integers(0, 6)))
def test_runs_are_the_maximal_runs_of_every_level(level):
    n_levels = 6  # level 6 is never predicted
    expected = set()
    for at in range(n_levels):
        mask = np.concatenate(([0], level <= at, [0])).astype(int)
        starts, stops = np.flatnonzero(np.diff(mask) == 1), np.flatnonzero(np.diff(mask) == -1)
        expected |= {(a, b, at) for a, b in zip(starts.tolist(), stops.tolist(), strict=True)}
    runs = _levels.find_runs(level, n_levels)
    rows = list(zip(*(column.tolist() for column in runs), strict=True))
    found = [(a, b, at) for a, b, born, dies in rows for at in range(born, dies)]
    assert len(found) == len(set(found))
    assert set(found) == expected
    assert len(rows) <= level.size


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 7), st.integers(1, 8)), max_size=8))
def test_lowest_alive_is_the_minimum_at_every_level(items):
    items = [(value, born, min(born + length, 9)) for value, born, length in items]
    value, born, dies = (
        (np.array(column, dtype=np.int64) for column in zip(*items, strict=True))
        if items
        else (np.array([], dtype=np.int64),) * 3
    )
    found = _levels.lowest_alive(value, born, dies, 9, missing=99)
    expected = [min((v for v, b, d in items if b <= at < d), default=99) for at in range(9)]
    assert found.tolist() == expected


def test_a_hundred_thousand_points_take_a_moment():
    rng = np.random.default_rng(0)
    labels = np.zeros(100_000, dtype=int)
    for start in rng.integers(0, 99_000, 40):
        labels[start : start + rng.integers(1, 400)] = 1
    scores = rng.normal(size=labels.size) + labels
    evaluate(labels[:1000], scores[:1000], 5)  # imports
    # Measured 0.03 s and 0.4 s on one core; a pass over the series a threshold takes 6 s and minutes.
    start = time.process_time()
    metrics.vus(labels, scores, 100)
    assert time.process_time() - start < 1
    start = time.process_time()
    evaluate(labels, scores, 100)
    assert time.process_time() - start < 5
