"""The threshold rules: right where the quantiles are known, defined and finite on everything else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from vetime_plugins.errors import InputError
from vetime_plugins.series.scale import calibrate
from vetime_plugins.thresholds import RULES, find_threshold

RNG = np.random.default_rng

pytestmark = pytest.mark.filterwarnings("ignore:the '(pot|std)' threshold:UserWarning")
"""Where nothing stands out these rules flag nothing and say so; see the test of that warning."""


@pytest.mark.parametrize("contamination", [0.001, 0.1, 0.5, np.float32(0.1), np.float16(0.25)])
def test_quantile_flags_the_expected_share(contamination):
    scores = RNG(0).random(2000)
    threshold = find_threshold(scores, contamination=contamination)
    assert (scores > threshold).mean() == pytest.approx(contamination, abs=1 / 2000)


def test_std_is_mean_plus_three_population_deviations():
    scores = RNG(0).random(100) ** 3
    expected = scores.mean() + 3 * math.sqrt(scores.var())
    assert find_threshold(scores, "std") == pytest.approx(expected, rel=1e-12)


def test_std_of_tail_probabilities_is_a_probability():
    # Their own mean and deviation, those of a uniform variate, would put it above 1.
    scores = (np.arange(2000) + 0.5) / 2000
    assert find_threshold(scores, "std") == pytest.approx(stats.norm.cdf(3), abs=1e-4)


@pytest.mark.parametrize("fixed", [0, 0.5, -2.5, np.float32(0.25), np.int64(3)])
def test_a_number_is_the_threshold(fixed):
    threshold = find_threshold([0.1, 0.2], fixed)
    assert threshold == fixed
    assert type(threshold) is float


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("value", [0.0, 0.1, 1.0, 1e300])
@pytest.mark.parametrize("n", [1, 2, 1000])
def test_equal_scores_have_no_anomaly(rule, value, n):
    # np.mean of 1,000 times 0.1 is below 0.1: unguarded, "std" flags every point.
    assert find_threshold(np.full(n, value), rule) == value


@pytest.mark.parametrize(
    ("distribution", "tolerance"),
    [
        (stats.expon(), 0.05),
        (stats.norm(), 0.05),
        (stats.genpareto(0.2), 0.10),
        (stats.uniform(), 0.001),
        (stats.beta(0.5, 10), 0.05),
    ],
    ids=["exponential", "normal", "heavy", "uniform", "beta"],
)
def test_pot_finds_a_quantile_far_in_the_tail(distribution, tolerance):
    scores = distribution.rvs(50_000, random_state=0)
    assert find_threshold(scores, "pot") == pytest.approx(distribution.isf(1e-4), rel=tolerance)


@pytest.mark.parametrize("n", [50, 300, 1000])
def test_pot_extrapolates_beyond_what_was_seen(n):
    # The score of one point in 10,000 from n points: right in the median, scattered from draw to draw.
    draws = [stats.expon.rvs(size=n, random_state=seed) for seed in range(25)]
    thresholds = [find_threshold(scores, "pot") for scores in draws]
    assert np.median(thresholds) == pytest.approx(stats.expon.isf(1e-4), rel=0.1)
    assert np.quantile(thresholds, 0.9) < 1.6 * stats.expon.isf(1e-4)
    assert np.median(thresholds) > np.median([scores.max() for scores in draws])


@pytest.mark.parametrize("n", [8, 40, 3000])
@pytest.mark.parametrize(("scale", "shift"), [(1e-9, 0), (1e6, -3), (1e200, 0)])
def test_pot_follows_scale_and_shift(n, scale, shift):
    scores = RNG(1).gamma(2, size=n)
    expected = find_threshold(scores, "pot") * scale + shift
    assert find_threshold(scores * scale + shift, "pot") == pytest.approx(expected, rel=1e-6)


def test_pot_threshold_falls_as_the_risk_grows():
    scores = RNG(2).gamma(2, size=4000)
    thresholds = [find_threshold(scores, "pot", risk=risk) for risk in (1e-6, 1e-4, 1e-2, 0.019, 0.021, 0.3)]
    assert thresholds == sorted(thresholds, reverse=True)
    assert thresholds[-1] == np.quantile(scores, 0.7)  # below the tail no model is needed


@pytest.mark.parametrize(
    "scores",
    [
        [0.0, 1.0],
        [0.0] * 100 + [1.0],
        [0.0] * 500 + [1.0] * 20,
        [0.0] * 900 + [1.0] * 100,
        np.arange(15),
        np.r_[np.zeros(1000), np.full(15, 0.5), 0.6],
        np.r_[np.zeros(1000), 1e-320, 1e-310],
        np.r_[RNG(0).beta(0.5, 10, 5000), RNG(1).uniform(0.8, 1, 300)],
        stats.pareto(0.5).rvs(2000, random_state=0),
    ],
    ids=["two", "spike", "equal_peaks", "tied_top", "few", "near_ties", "subnormal", "anomalies", "no_mean"],
)
def test_pot_is_finite_on_tails_that_cannot_be_fitted(scores):
    scores = np.asarray(scores, dtype=float)
    threshold = find_threshold(scores, "pot")
    assert math.isfinite(threshold)
    assert np.quantile(scores, 0.5) <= threshold
    assert (scores > threshold).mean() <= 0.02


def test_pot_of_a_bounded_tail_stays_within_the_bound():
    # 6 % of anomalies, uniform up to 1: with an exponential tail no possible score would reach the threshold.
    scores = np.r_[RNG(0).beta(0.5, 10, 5000), RNG(1).uniform(0.8, 1, 300)]
    assert find_threshold(scores, "pot") < 1


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize("width", [0.5, 1, 2])
def test_pot_of_scores_that_end_at_one_stays_below_one(n, width):
    # From few peaks the tail is exponential, which would put the threshold between 1 and 2.
    distribution = stats.beta(1, width)  # exceeds x with probability (1 - x)**width
    draws = [distribution.rvs(n, random_state=seed) for seed in range(15)]
    thresholds = [find_threshold(scores, "pot") for scores in draws]
    assert max(thresholds) < 1
    assert np.median(thresholds) == pytest.approx(distribution.isf(1e-4), abs=0.01)


def test_pot_of_scores_that_reach_one_is_one():
    assert find_threshold(np.r_[np.linspace(0, 0.1, 300), np.linspace(0.5, 1, 40)], "pot") == 1


@given(arrays(np.float64, st.integers(1, 80), elements=st.floats(0, 1)), st.sampled_from(RULES))
def test_never_nan_and_never_flags_most_points(scores, rule):
    threshold = find_threshold(scores, rule)
    assert math.isfinite(threshold)
    assert rule == "std" or 0 <= threshold <= 1
    assert (scores > threshold).mean() <= 0.5


def test_order_and_container_do_not_matter():
    scores = RNG(3).random(300)
    for rule in RULES:
        expected = find_threshold(scores, rule)
        assert find_threshold(list(scores[::-1]), rule) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([],), {}, r"shape \(n,\).*\(0,\)"),
        (([[0.1, 0.2]],), {}, r"shape \(n,\).*\(1, 2\)"),
        ((["a"],), {}, "must be numbers"),
        (([0.1, math.nan, math.inf],), {}, "2 of 3 are not.*position 1"),
        (([0.1], "median"), {}, "'auto', 'quantile', 'std', 'pot' or a finite number.*'median'"),
        (([0.1], math.nan), {}, "threshold must be"),
        (([0.1], True), {}, "threshold must be"),
        (([0.1], None), {}, "threshold must be"),
        (([0.1],), {"contamination": 0}, r"\(0, 0.5\].*got 0"),
        (([0.1],), {"contamination": 0.6}, r"\(0, 0.5\].*got 0.6"),
        (([0.1],), {"contamination": math.nan}, r"\(0, 0.5\]"),
        (([0.1],), {"contamination": True}, r"\(0, 0.5\].*got True"),
        (([0.1],), {"contamination": np.bool_(True)}, r"\(0, 0.5\].*got"),
        (([0.1], np.bool_(True)), {}, "threshold must be one of"),
        (([0.1],), {"contamination": "auto"}, r"\(0, 0.5\].*'auto'"),
        (([0.1 + 1j],), {}, "complex"),
        (([0.1, 0.2], "pot"), {"risk": 0}, "risk"),
        (([0.1, 0.2], "pot"), {"level": 1.0}, "level"),
        (([1e308, -1e308, 1.0], "std"), {}, "overflows"),
    ],
)
def test_bad_input_is_named(arguments, options, message):
    with pytest.raises(InputError, match=message):
        find_threshold(*arguments, **options)


def series_of_margins(incidents: int, seed: int = 0, n: int = 2000) -> tuple[np.ndarray, np.ndarray]:
    """Return margins (n,) with so many incidents of five steps, and their labels."""
    margins = RNG(seed).gumbel(-5, 1, size=n)
    labels = np.zeros(n, dtype=bool)
    for i in range(incidents):
        start = 100 + i * (n - 200) // max(incidents, 1)
        labels[start : start + 5] = True
    margins[labels] = 20 + RNG(seed + 1).random(labels.sum())
    return margins, labels


SCALES = {
    "tail": calibrate,
    "logistic": lambda margins: 1 / (1 + np.exp(-margins)),
    "margin": lambda margins: margins,
}


@pytest.mark.parametrize("scale", SCALES)
def test_auto_is_quiet_on_calm_series(scale):
    flagged = 0
    for seed in range(100):
        scores = SCALES[scale](series_of_margins(0, seed)[0])
        threshold = find_threshold(scores, "auto")
        assert threshold >= np.quantile(scores, 0.99)
        flagged += bool((scores > threshold).any())
    assert flagged <= 5


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("incidents", [1, 3, 20])
def test_auto_flags_what_stands_out_and_nothing_else(scale, incidents):
    margins, labels = series_of_margins(incidents)
    scores = SCALES[scale](margins)
    flagged = scores > find_threshold(scores, "auto")
    starts = np.flatnonzero(np.diff(labels, prepend=False) & labels)
    assert all(flagged[start : start + 5].any() for start in starts)
    assert not flagged[~labels].any()


@pytest.mark.parametrize(("steps", "found"), [(3, False), (40, True)])
def test_auto_flags_what_lasts_below_the_height_that_a_peak_needs(steps, found):
    scores = calibrate(series_of_margins(0)[0])
    assert scores.max() < 1 - 1e-5
    scores[900 : 900 + steps] = 1 - 6e-6 * np.linspace(1, 1.1, steps)
    flagged = scores > find_threshold(scores, "auto")
    assert flagged[900 : 900 + steps].any() == found
    assert flagged.sum() <= steps


@pytest.mark.parametrize("n", [1, 2, 5, 20, 90])
def test_auto_of_few_scores(n):
    scores = RNG(0).random(n)
    assert scores.max() <= find_threshold(scores, "auto") <= 1


@pytest.mark.parametrize("incidents", [0, 5])
@pytest.mark.parametrize("scale", SCALES)
def test_pot_is_not_raised_by_the_anomalies_among_the_scores(scale, incidents):
    margins, labels = series_of_margins(incidents)
    scores = SCALES[scale](margins)
    flagged = scores > find_threshold(scores, "pot")
    assert flagged[labels].all()
    assert flagged[~labels].mean() < 0.005


def test_a_threshold_above_every_score_warns():
    with pytest.warns(UserWarning, match=r"'std' threshold .* is above every score .*threshold='auto'"):
        find_threshold(np.r_[np.zeros(4), 1.0], "std")
    with pytest.warns(UserWarning, match="'pot' threshold"):
        find_threshold(np.linspace(0, 1, 50), "pot")


def test_a_share_that_auto_does_not_use_warns():
    with pytest.warns(UserWarning, match=r"contamination=0.02 is not used .*threshold='quantile'"):
        find_threshold(calm_scores := RNG(0).random(100), "auto", contamination=0.02)
    assert find_threshold(calm_scores, "auto") >= calm_scores.max()
