"""Adaptive thresholds: what they flag, that they follow, and that they can stop and go on."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from vetime_plugins.adaptive import (
    ADAPTIVE,
    AdaptiveThreshold,
    DriftThreshold,
    RollingThreshold,
    make_threshold,
)
from vetime_plugins.errors import InputError


@pytest.fixture(params=ADAPTIVE)
def make(request):
    return ADAPTIVE[request.param]


def drifting(n: int = 12_000, seed: int = 0) -> np.ndarray:
    return np.linspace(0.1, 0.1 + n / 120_000, n) + 0.01 * np.random.default_rng(seed).normal(size=n)


def test_nothing_is_flagged_before_the_warm_up_is_over(make):
    scores = drifting(400)
    scores[100] = 1
    threshold = make(warm_up=300)
    limits, flags = threshold.update(scores)
    assert np.isinf(limits[:300]).all()
    assert np.isfinite(limits[300:]).all()
    assert not flags[:300].any()
    assert threshold.threshold != limits[-1]


@pytest.mark.parametrize("seed", range(5))
def test_is_quiet_on_drift_and_finds_what_stands_out(make, seed):
    scores = drifting(seed=seed)
    calm = make().update(scores)[1]
    assert calm.mean() <= 0.025
    fixed = np.quantile(scores[:1000], 0.999)
    assert (scores > fixed).mean() > 0.5  # what a threshold does that does not follow
    places = np.arange(2000, 12_000, 1000)
    scores[places] += 0.12
    assert make().update(scores)[1][places].all()


def test_the_cut_of_the_feed_does_not_matter(make):
    scores = drifting(3000)
    limits, flags = make().update(scores)
    threshold = make()
    parts = [threshold.update(part) for part in np.split(scores, [1, 2, 700, 1500, 1500])]
    np.testing.assert_array_equal(np.concatenate([one for one, _ in parts]), limits)
    np.testing.assert_array_equal(np.concatenate([one for _, one in parts]), flags)


@pytest.mark.parametrize(
    "store",
    [
        lambda one: pickle.loads(pickle.dumps(one)),
        lambda one: AdaptiveThreshold.from_state_dict(json.loads(json.dumps(one.state_dict()))),
    ],
    ids=["pickle", "json"],
)
@pytest.mark.parametrize("stop", [0, 50, 500, 2500])
def test_stop_and_go_on(make, store, stop):
    scores = drifting(4000)
    limits, flags = make(warm_up=400).update(scores)
    threshold = make(warm_up=400)
    threshold.update(scores[:stop])
    again = store(threshold)
    assert again == threshold
    found = again.update(scores[stop:])
    np.testing.assert_array_equal(found[0], limits[stop:])
    np.testing.assert_array_equal(found[1], flags[stop:])


def test_memory_is_bounded(make):
    threshold = make(warm_up=200)
    scores = np.random.default_rng(0).beta(1, 20, size=10_000)
    threshold.update(scores)
    size = len(pickle.dumps(threshold))
    threshold.update(scores)
    assert len(pickle.dumps(threshold)) < 1.1 * size
    with pytest.raises(InputError, match="finite"):
        threshold.update([np.nan])


def test_an_anomaly_does_not_hide_the_next_one(make):
    scores = drifting(3000)
    scores[2000:2100] = 0.9
    scores[2500] = 0.9
    flags = make().update(scores)[1]
    assert flags[2000:2100].all()
    assert flags[2500]
    assert flags[2100:2500].sum() <= 8


def test_what_does_not_end_becomes_normal(make):
    scores = drifting(6000)
    scores[2000:] += 0.4
    flags = make(patience=100).update(scores)[1]
    assert flags[2000:2100].all()
    assert flags[-3000:].mean() < 0.025


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_equal_scores_are_never_flagged(make, value):
    limits, flags = make(warm_up=200).update(np.full(1000, value))
    assert not flags.any()
    assert limits[-1] == pytest.approx(value, abs=2e-6)
    assert not make(warm_up=200, bounded=False).update(np.full(1000, value))[1].any()


def test_the_rolling_quantile_is_the_one_of_numpy():
    scores = np.random.default_rng(0).random(900)
    limits, _ = RollingThreshold(
        warm_up=50, window=300, quantile=0.9, stretch=1, patience=1, bounded=False
    ).update(scores)
    kept: list[float] = []
    above = 0
    for score, limit in zip(scores, limits, strict=True):
        if len(kept) >= 50:
            assert limit == pytest.approx(np.quantile(kept[-300:], 0.9))
        above = above + 1 if score > limit else 0
        # the first score of an alarm counts as one a little above the threshold
        kept.append(min(score, limit + 0.1 * (limit - np.median(kept[-300:]))) if above == 1 else score)


@pytest.mark.parametrize("risk", [1e-2, 1e-3])
def test_the_share_above_a_drift_threshold_is_near_its_risk(risk):
    scores = np.random.default_rng(1).exponential(size=60_000)
    share = DriftThreshold(risk=risk, bounded=False).update(scores)[1].mean()
    assert risk / 2 < share < 2 * risk


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (RollingThreshold, {"warm_up": 5}, "warm_up must be a whole number >= 10"),
        (RollingThreshold, {"patience": 0}, "patience must be"),
        (RollingThreshold, {"window": 1}, "window must be"),
        (RollingThreshold, {"quantile": 1.1}, r"quantile must be in \[0.5, 1\]"),
        (RollingThreshold, {"stretch": 0.5}, "stretch must be"),
        (DriftThreshold, {"risk": 0}, "risk must be"),
        (DriftThreshold, {"level": 0.5}, "level must be"),
        (DriftThreshold, {"depth": 1000}, "warm_up must exceed depth"),
        (DriftThreshold, {"max_peaks": 2}, "max_peaks must be"),
    ],
)
def test_bad_settings_are_named(kind, settings, message):
    with pytest.raises(InputError, match=message):
        kind(**settings)


def test_scores_of_any_size_have_to_be_told(make):
    with pytest.raises(InputError, match=r"must be in \[0, 1\], got -1 to 2; .* bounded=False"):
        make().update([-1, 2])
    scores = 100 * np.random.default_rng(0).normal(size=3000)
    scores[2000] = 2000
    assert make(bounded=False).update(scores)[1][2000]


def test_a_threshold_of_bounded_scores_is_one_of_them(make):
    scores = np.random.default_rng(0).beta(0.3, 5, size=4000)
    limits, _ = make(warm_up=200).update(scores)
    assert limits[200:].max() < 1


@pytest.mark.parametrize("scores", [[np.inf], [[0.1]], ["a"], 0.5])
def test_bad_scores_are_named(make, scores):
    with pytest.raises(InputError, match="scores must"):
        make().update(scores)


@pytest.mark.parametrize("rule", ["most", 0.5, None])
def test_unknown_rules_are_named(rule):
    with pytest.raises(InputError, match="'rolling', 'dspot' or an object"):
        make_threshold(rule)


@pytest.mark.parametrize("state", [{}, {"name": "rolling", "settings": {}, "memory": {}}, {"name": "x"}])
def test_bad_states_are_named(state):
    with pytest.raises(InputError, match="not the state"):
        AdaptiveThreshold.from_state_dict(state)


@pytest.mark.parametrize("value", ["x", None, [1, "x"], {}, float("nan"), 0.5])
def test_damaged_memory_is_named(make, value):
    threshold = make(warm_up=200)
    threshold.update(drifting(400))
    state = threshold.state_dict()
    for key in state["memory"]:
        if (key, value) == ("_threshold", None) or (
            value == 0.5 and key in ("_threshold", "_start", "_reach")
        ):
            continue
        with pytest.raises(InputError, match="not the state"):
            AdaptiveThreshold.from_state_dict({**state, "memory": {**state["memory"], key: value}})
