"""The metrics against reference values, against scikit-learn and against their definitions."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.metrics import _naive
from vetime_plugins import metrics
from vetime_plugins.metrics import evaluate, event_f1, flag_quality, standard_f1

REFERENCE = Path(__file__).with_name("reference.json")  # says where its values are from


def random_case(seed):
    """Labels of many shapes (dense, at the borders, single points) and scores with and without ties."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    labels = np.zeros(n, dtype=int)
    if seed % 4 == 0:
        labels = (rng.random(n) < rng.random()).astype(int)
    for _ in range(int(rng.integers(1, 4))):
        start = int(rng.integers(0, n))
        labels[start : start + int(rng.integers(1, max(2, n // 4)))] = 1
    if seed % 4 == 1:
        labels[0] = 1
    if seed % 4 == 2:
        labels[-1] = 1
    if labels.all():
        labels[n // 2] = 0
    scores = rng.normal(size=n) + labels * rng.random() * 2
    if seed % 3 == 0:
        scores = np.round(scores, int(rng.integers(0, 2)))
    return labels, scores, int(rng.integers(0, 12))


CASES = list(range(40))


def test_equal_the_reference_values():
    cases = json.loads(REFERENCE.read_text())["cases"]
    assert len(cases) == 16
    for case in cases:
        labels = np.zeros(case["length"], dtype=int)
        for start, end in case["anomalies"]:
            labels[start:end] = 1
        result = evaluate(labels, case["scores"], case["buffer"])
        assert set(case["expected"]) <= set(result)
        for name, expected in case["expected"].items():
            assert result[name] == pytest.approx(expected, abs=1e-9, rel=0), name


@pytest.mark.parametrize("seed", CASES)
def test_areas_equal_scikit_learn(seed):
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    labels, scores, _ = random_case(seed)
    assert metrics.auc_roc(labels, scores) == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores))
    expected = sklearn_metrics.average_precision_score(labels, scores)
    assert metrics.auc_pr(labels, scores) == pytest.approx(expected)


@pytest.mark.parametrize("seed", CASES[:20])
def test_vus_equals_its_definition(seed):
    labels, scores, buffer = random_case(seed)
    assert metrics.vus(labels, scores, buffer) == pytest.approx(_naive.vus(labels, scores, buffer))


@pytest.mark.parametrize("seed", CASES[:20])
def test_pointwise_f1_equal_their_definitions(seed):
    labels, scores, _ = random_case(seed)
    assert metrics.standard_f1(labels, scores)[:3] == pytest.approx(_naive.standard_f1(labels, scores))
    expected = _naive.point_adjusted_f1(labels, scores)
    assert metrics.point_adjusted_f1(labels, scores).f1 == pytest.approx(expected)
    assert metrics.event_f1(labels, scores).f1 == pytest.approx(_naive.event_f1(labels, scores))


@pytest.mark.parametrize("seed", CASES[:20])
@pytest.mark.parametrize("count_every_range", [False, True])
def test_range_f1_equals_its_definition(seed, count_every_range):
    labels, scores, _ = random_case(seed)
    result = metrics.range_f1(labels, scores, count_every_range=count_every_range)
    expected = _naive.range_f1(labels, scores, stop_early=not count_every_range)
    assert result.f1 == pytest.approx(expected, abs=1e-6)


def test_range_f1_differs_from_the_paper_only_behind_the_last_segment():
    labels = np.array([0, 1, 1, 0, 0, 0, 0, 0, 0])
    for scores in ([0, 5, 0, 0, 5, 0, 5, 0, 5], [0, 5, 0, 5, 0, 5, 0, 5, 0]):
        assert metrics.range_f1(labels, scores).precision == pytest.approx(1 / 2)
        assert metrics.range_f1(labels, scores, count_every_range=True).precision == pytest.approx(1 / 4)


@pytest.mark.parametrize("seed", CASES[:16])
def test_affiliation_equals_its_definition(seed):
    labels, scores, _ = random_case(seed)
    result = metrics.affiliation_f1(labels, scores)
    expected = _naive.affiliation_f1(labels, scores)
    if expected[0] < 0:  # no threshold predicts anything
        assert result[:3] == (0, 0, 0)
    else:
        assert result.f1 == pytest.approx(expected[0], abs=2e-4)


@pytest.mark.parametrize("seed", CASES[:20])
@pytest.mark.parametrize("n_thresholds", [None, 250])
def test_pate_equals_its_definition(seed, n_thresholds):
    labels, scores, buffer = random_case(seed)
    expected = _naive.pate(labels, scores, buffer, n_thresholds)
    assert metrics.pate(labels, scores, buffer, n_thresholds=n_thresholds) == pytest.approx(expected)


def test_long_ranges_do_not_overflow_and_stay_exact():
    # One segment of 3,000 points found piece by piece: many runs, many merges, large sums of distances.
    rng = np.random.default_rng(3)
    labels = np.zeros(8000, dtype=int)
    labels[2500:5500] = 1
    scores = rng.normal(size=8000) + labels
    cuts = np.quantile(scores, [0.999, 0.9, 0.5, 0.0])
    coarse = np.searchsorted(np.sort(cuts), scores, side="right").astype(float)
    assert metrics.pate(labels, coarse, 40) == pytest.approx(_naive.pate(labels, coarse, 40))


def test_flags_of_one_threshold_agree_with_the_best_one_where_it_is_that():
    rng = np.random.default_rng(0)
    labels = (np.arange(3000) % 300 < 20).astype(int)
    scores = rng.normal(size=3000) + 2.5 * labels
    best = event_f1(labels, scores)
    found = flag_quality(labels, scores > best.threshold)
    assert found["Event-F1"] == pytest.approx(best.f1)
    assert found["Event-Recall"] == pytest.approx(best.recall)
    assert found["Standard-Precision"] == pytest.approx(best.precision)
    points = standard_f1(labels, scores)
    assert flag_quality(labels, scores >= points.threshold)["Standard-F1"] == pytest.approx(points.f1)


def test_flags_of_nothing_are_worth_nothing():
    assert set(flag_quality([0, 1, 0], [0, 0, 0]).values()) == {0.0}
    assert all(math.isnan(value) for value in flag_quality([0, 0], [0, 1]).values())
