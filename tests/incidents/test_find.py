"""From scores, and the values behind them, to incidents."""

from __future__ import annotations

import dataclasses
import itertools
import json
import sys

import numpy as np
import pandas as pd
import pytest

from vetime_plugins import InputError, MissingDependencyError, VETimePipeline, find_incidents
from vetime_plugins.incidents import KINDS
from vetime_plugins.pipeline import cached_pipeline


def spans(found):
    return [(one.start, one.end) for one in sorted(found, key=lambda one: one.start)]


def hill(length, *peaks, wide=30):
    """Scores with a broad flank around each (position, height): what windows make of a single step."""
    scores = np.full(length, 0.01)
    steps = np.arange(length)
    for at, height in peaks:
        scores = np.maximum(scores, 0.6 * np.clip(1 - np.abs(steps - at) / wide, 0, 1))
        scores[at] = height
    return scores


def test_end_is_the_last_step_and_one_step_is_one_step():
    scores = np.full(50, 0.1)
    scores[20], scores[30:35] = 0.9, 0.8
    (first, second) = find_incidents(scores, threshold=0.5, gap=0)
    assert (first.start, first.end, first.peak, first.steps) == (20, 20, 20, 1)
    assert (second.start, second.end, second.steps) == (30, 34, 5)
    assert first.severity == 0.9


@pytest.mark.parametrize("gap", [0, 1, 4])
def test_steps_closer_than_the_gap_are_one_incident(gap):
    scores = np.full(60, 0.1)
    scores[[10, 11 + gap, 30, 32 + gap]] = 0.9
    found = find_incidents(scores, threshold=0.5, gap=gap)
    assert spans(found) == [(10, 11 + gap), (30, 30), (32 + gap, 32 + gap)]


def test_the_flanks_of_a_spike_are_no_plateau():
    assert spans(find_incidents(hill(400, (200, 0.999)), threshold=0.3)) == [(200, 200)]


def test_two_spikes_in_one_run_are_two_incidents():
    scores = hill(400, (200, 0.999), (230, 0.99))
    assert (scores[200:231] > 0.25).all()
    assert spans(find_incidents(scores, threshold=0.25)) == [(200, 200), (230, 230)]


def test_nothing_above_the_threshold_is_an_empty_table():
    found = find_incidents(np.linspace(0, 0.5, 20), threshold=0.5)
    assert len(found) == 0
    assert not found.mask().any()
    assert "no incident" in str(found)
    assert list(found.to_frame().columns)[:3] == ["start", "end", "peak"]
    assert len(found.to_frame()) == 0


def test_an_incident_goes_down_to_a_level_below_the_threshold():
    scores = np.full(200, 0.5)
    scores[100:150] = 0.997
    scores[[102, 147]] = 0.9995
    assert spans(find_incidents(scores, threshold=0.999)) == [(100, 149)]
    scores[[102, 147]] = 0.997
    assert not find_incidents(scores, threshold=0.999)


def test_every_step_above_the_threshold_is_one_incident():
    assert spans(find_incidents(np.full(30, 0.9), threshold=0.5)) == [(0, 29)]


def test_incidents_never_overlap_and_hold_their_peak():
    rng = np.random.default_rng(0)
    for _ in range(30):
        scores = rng.uniform(size=300) ** rng.uniform(0.3, 8)
        x = rng.normal(size=(300, 2)).cumsum(axis=0)
        for series in (None, x):
            found = find_incidents(scores, series, threshold=0.6).in_order()
            assert all(a.end < b.start for a, b in itertools.pairwise(found))
            assert all(one.start <= one.peak <= one.end for one in found)
            assert all(one.severity == scores[one.start : one.end + 1].max() for one in found)


def test_the_most_severe_comes_first():
    scores = np.full(90, 0.1)
    scores[[10, 40, 70]] = 0.7, 0.9, 0.8
    found = find_incidents(scores, threshold=0.5)
    assert [one.start for one in found] == [40, 70, 10]
    assert [one.start for one in found.in_order()] == [10, 40, 70]


@pytest.fixture(scope="module")
def pipeline() -> VETimePipeline:
    return cached_pipeline("small", device="cpu")


def test_a_spike_of_one_step_is_an_incident_of_one_step(pipeline):
    rng = np.random.default_rng(1)
    x = np.sin(np.arange(1500) * 2 * np.pi / 50) + 0.1 * rng.normal(size=1500)
    at = [300, 700, 1100]
    x[at] += 3, -3, 4
    found = pipeline.detect(x).incidents.in_order()
    assert [(one.start, one.end, one.kind) for one in found] == [
        (300, 300, "spike"), (700, 700, "dip"), (1100, 1100, "spike"),
    ]  # fmt: skip


def change(kind, x, steps):
    """Change the middle hundred steps of a series of period 50."""
    part, rng = slice(700, 800), np.random.default_rng(2)
    if kind == "level shift":
        x[part] += 1.5
    elif kind == "trend change":
        x[part] += np.linspace(0, 4, 100)
    elif kind == "change of amplitude":
        x[part] *= 2.5
    elif kind == "change of variance":
        x[part] += rng.normal(size=100)
    elif kind == "change of timing":
        x[part] = np.sin(steps[part] * 2 * np.pi / 20)
    elif kind == "flat":
        x[part] = x[700]
    return x


@pytest.mark.parametrize(
    "kind",
    ["level shift", "trend change", "change of amplitude", "change of variance", "change of timing", "flat"],
)
def test_a_plain_change_is_found_where_it_is_and_called_by_its_name(pipeline, kind):
    steps = np.arange(1500)
    x = np.sin(steps * 2 * np.pi / 50) + 0.05 * np.random.default_rng(3).normal(size=1500)
    found = pipeline.detect(change(kind, x, steps)).incidents
    assert kind in KINDS
    assert found[0].kind == kind
    assert abs(found[0].start - 700) <= (20 if kind == "trend change" else 12)  # a ramp begins with nothing
    assert abs(found[0].end - 799) <= 12


def test_a_broken_relation_is_told_from_values_that_are_unusual():
    rng = np.random.default_rng(4)
    cause = np.convolve(rng.normal(size=2100), np.ones(20) / 4, mode="same")[:2000]
    x = np.stack([cause, 2 * cause + 1, -cause], axis=1) + 0.05 * rng.normal(size=(2000, 3))
    scores = np.full(2000, 0.01)
    scores[900:960] = 0.9
    evidence = np.zeros((2000, 3))
    evidence[900:960, 1] = 5
    x[900:960, 1] = x[1300:1360, 1]
    (found,) = find_incidents(scores, x, threshold=0.5, evidence=evidence)
    assert found.kind == "broken relation"
    assert found.variables[0].index == 1
    x[900:960, 1] += 20
    (found,) = find_incidents(scores, x, threshold=0.5, evidence=evidence)
    assert found.kind == "level shift" or found.kind == "wrong shape"


def test_variables_are_ranked_and_their_shares_sum_to_one(pipeline):
    rng = np.random.default_rng(5)
    x = np.sin(np.arange(1200) / 8)[:, None] * [1, 2, 3, 4] + 0.1 * rng.normal(size=(1200, 4))
    x[500:520, 2] += 20
    found = pipeline.detect(x, threshold=0.95).incidents[0]
    assert found.variables[0].index == 2
    assert sorted(one.index for one in found.variables) == [0, 1, 2, 3]
    assert sum(one.share for one in found.variables) == pytest.approx(1)
    assert [one.share for one in found.variables] == sorted((v.share for v in found.variables), reverse=True)
    assert found.leading(0) == ()
    assert found.leading()[0].index == 2
    assert len(found.leading(1.1)) == 4


def test_pandas_gives_index_and_names(pipeline):
    index = pd.date_range("2024-03-01", periods=600, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"load": np.sin(np.arange(600) / 4), "spare": 1.0}, index=index)
    frame.loc[index[400], "load"] += 5
    detection = pipeline.detect(frame)
    (one,) = detection.incidents
    assert one.start_time == one.end_time == one.peak_time == index[400]
    assert one.variables[0].name == "load"
    table = detection.incidents.to_frame()
    assert table["start"].dtype == index.dtype
    assert table["start"][0] == index[400]
    assert table["start_iloc"][0] == 400
    assert table["variables"][0][0] == "load"
    assert json.loads(json.dumps(detection.incidents.as_dicts()))[0]["start_time"] == str(index[400])
    assert str(index[400]) in str(detection.incidents)


def test_gaps_and_constant_variables_are_no_trouble():
    x = np.sin(np.arange(400) / 5)[:, None].repeat(3, axis=1)
    x[100:180, 0] = np.nan
    x[:, 1] = 7
    x[:, 2] = np.nan
    scores = np.full(400, 0.01)
    scores[[0, 150, 399]] = 0.9
    assert len(find_incidents(scores, x, threshold=0.5)) == 3


@pytest.mark.parametrize("length", [1, 2, 5, 30])
def test_short_series(length):
    scores = np.full(length, 0.9)
    (one,) = find_incidents(scores, np.arange(length, dtype=float), threshold=0.5)
    assert (one.start, one.end) == (0, length - 1)


def test_detect_gives_the_scores_of_score(pipeline, wave):
    series, _ = wave
    detection = pipeline.detect(series)
    np.testing.assert_array_equal(detection.scores, pipeline.score(series))
    wide = np.stack([series, series[::-1]], axis=1)
    detection = pipeline.detect(wide)
    np.testing.assert_array_equal(detection.variable_scores, pipeline.score(wide, per_variable=True))
    assert detection.threshold == detection.incidents.threshold


def test_detect_of_a_list_is_a_list(pipeline, wave):
    series, _ = wave
    first, second = pipeline.detect([series, series[:300]])
    assert len(first.scores) == 600
    assert len(second.scores) == 300
    assert first.incidents == pipeline.detect(series).incidents


def test_a_reference_sets_the_threshold(pipeline, wave):
    series, _ = wave
    found = pipeline.detect(series[350:], reference=series[:350], threshold="quantile")
    basis = pipeline.score(series[:350])
    assert found.threshold == np.percentile(basis, 90)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": [0.1, np.nan]}, "finite"),
        ({"scores": [[0.1]]}, "shape"),
        ({"scores": ["a"]}, "numbers"),
        ({"scores": [0.1, 0.2], "series": [1.0]}, "one score for each step"),
        ({"scores": [0.1, 0.2], "gap": -1}, "gap"),
        ({"scores": [0.1, 0.2], "index": [1]}, "index"),
        ({"scores": [0.1, 0.2], "variable_scores": [[0.1]]}, "variable_scores"),
        ({"scores": [0.1, 0.2], "variable_scores": "x"}, "variable_scores must be numbers"),
        ({"scores": [0.1, 0.2], "evidence": {}}, "evidence must be numbers"),
        ({"scores": [0.1, 0.2], "series": [1, 2], "evidence": [[1, 2], [3, 4]]}, "1 columns"),
        ({"scores": [0.1, 0.2], "series": [1, 2], "names": ["a", "b"]}, "names"),
        ({"scores": [0.1, 0.2], "threshold": "often"}, "threshold"),
    ],
)
def test_errors_say_what_is_wrong(options, message):
    with pytest.raises(InputError, match=message):
        find_incidents(**options)


def test_incidents_cannot_be_changed_and_need_no_pandas(monkeypatch):
    found = find_incidents([0.1, 0.9, 0.1], threshold=0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found[0].start = 5
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingDependencyError, match="pandas"):
        found.to_frame()
