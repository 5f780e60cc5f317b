"""The better detector wins, the default where the evidence is weak; nothing is dropped without a word."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests._tiny import save_tiny_weights
from tests.selection._fakes import (
    Clock,
    Distance,
    Failing,
    Fast,
    Middling,
    Noise,
    Quadratic,
    Slow,
    Smeared,
    Stepped,
    Tiring,
    wave,
)
from vetime_plugins.errors import InputError, InputWarning
from vetime_plugins.selection import CandidateDetector, budget, runs, select_detector
from vetime_plugins.selection.experience import EXPERIENCE
from vetime_plugins.selection.profile import GROUPS
from vetime_plugins.selection.trials import measure

FAST = ["sub-knn", "sub-pca", "moving-variance"]


def select(series, candidates=FAST, **options):
    return select_detector(series, candidates, **{"budget": None, "n_trials": 5, **options})


def without_times(selection):
    found = selection.as_dict()
    found.pop("seconds")
    for candidate in found["candidates"]:
        candidate.pop("seconds")
    return found


class TestChoice:
    def test_a_good_candidate_beats_a_bad_default(self):
        found = select(wave(), [Noise(), "sub-knn", "sub-pca"], default="Noise", n_trials=8)
        assert found.name in ("sub-knn", "sub-pca")
        assert found.ranking[-1] == "Noise"
        report = found.candidates[0]
        assert report.name == found.name
        assert report.expected_advantage > 0
        assert "evidence enough to leave the default" in found.reasons[0]

    def test_a_bad_candidate_does_not_beat_a_good_default(self):
        found = select(wave(), ["sub-knn", Noise(), "sub-pca"], default="sub-knn")
        assert found.name == found.default == "sub-knn"
        assert "No other candidate is expected to beat the default" in found.reasons[0]

    def test_where_there_is_no_default_nobody_is_preferred(self):
        """The order in which they are named does not matter."""
        found = select(wave(), [Noise(), Middling(), Distance()], n_trials=8)
        assert found.default is None
        assert found.name == found.ranking[0] == "Distance"
        assert all(one.expected_advantage is None for one in found.candidates)
        assert "Distance is the first in the order of all evidence. It found" in found.reasons[0]
        assert "of the second, Middling. On generated series, Distance has not been" in found.reasons[0]
        assert "expected:" not in str(found)
        assert select(wave(), [Distance(), Middling(), Noise()], n_trials=8).name == "Distance"

    def test_experience_decides_between_equals(self):
        known = select(wave(), ["sktime-hampel", "sub-knn"], n_trials=0)
        assert known.name == known.default == "sub-knn"
        assert [one.experience for one in known.candidates] == [
            EXPERIENCE["sub-knn"],
            EXPERIENCE["sktime-hampel"],
        ]
        assert select(wave(), [Distance()]).candidates[0].experience is None

    def test_the_most_experienced_is_the_default_and_is_left_for_a_stranger_on_plain_evidence_only(self):
        spiky = np.random.default_rng(0).normal(size=1200)
        found = select(spiky, ["sktime-hampel", Noise(), "pyod-spectral-residual"], n_trials=8)
        assert found.default == "pyod-spectral-residual"
        assert found.name == "pyod-spectral-residual"
        assert select(wave(), ["sktime-hampel", "sub-pca", "sub-knn", Distance()]).default == "sub-knn"

    def test_equals_leave_the_default(self):
        found = select(wave(), [Distance(), Distance()], default="Distance-2")
        assert found.name == "Distance-2"

    def test_without_trials_the_default_wins(self):
        assert select(wave(), n_trials=0, default="moving-variance").name == "moving-variance"

    def test_vetime_is_the_default_wherever_it_is_named(self, tmp_path):
        weights = save_tiny_weights(tmp_path)
        found = select(wave(300), ["sub-pca", "vetime"], n_trials=0, weights=weights, device="cpu")
        assert found.name == found.default == "vetime"

    def test_same_input_same_choice(self):
        one, same = select(wave()), select(wave())
        assert without_times(one) == without_times(same)
        np.testing.assert_array_equal(one.detector.decision_scores_, same.detector.decision_scores_)
        other = select(wave(), random_state=1)
        assert without_times(one)["candidates"] != without_times(other)["candidates"]

    def test_global_random_state_is_left_alone(self):
        np.random.seed(3)
        before = np.random.get_state()[1].tolist()
        select(wave(), n_trials=2)
        assert np.random.get_state()[1].tolist() == before


class TestWinner:
    def test_is_fitted_on_the_whole_series(self):
        series = wave()
        found = select(series, max_points=500)
        expected = CandidateDetector(found.name).fit(series)
        np.testing.assert_array_equal(found.detector.decision_scores_, expected.decision_scores_)
        np.testing.assert_array_equal(found.detector.labels_, expected.labels_)
        assert found.detector.threshold_ == expected.threshold_
        assert found.series.startswith("500 points")

    def test_is_fitted_with_the_period_of_the_whole_series(self):
        series = np.r_[wave(800, period=20), wave(400, period=50)]  # its latest part has another
        found = select(series, max_points=400)
        expected = CandidateDetector(found.name).fit(series)
        np.testing.assert_array_equal(found.detector.decision_scores_, expected.decision_scores_)

    def test_threshold(self):
        found = select(wave(), contamination=0.02)
        assert found.detector.labels_.mean() == pytest.approx(0.02, abs=0.005)
        assert select(wave(), threshold=3.5).detector.threshold_ == 3.5


class TestFailures:
    def test_are_reported(self):
        found = select(wave(), ["sub-knn", Failing(), "sub-pca"])
        report = {one.name: one for one in found.candidates}["Failing"]
        assert (report.status, report.reason) == ("FAILED", "RuntimeError: it is broken")
        assert report.rank is report.detection is None
        assert "Failing" in " ".join(found.reasons)
        assert "failed: RuntimeError" in found.to_text()
        assert found.candidates[-1].name == "Failing"

    def test_a_default_that_fails_is_replaced(self):
        found = select(wave(), [Failing(), "sub-knn", Noise()], default="Failing")
        assert found.default is None
        assert found.name == "sub-knn"
        assert "The default Failing could not be used" in found.reasons[0]

    def test_failure_on_the_whole_series_only(self):
        found = select(
            wave(), [Failing(longest=600), "sub-knn"], default="Failing", max_points=600, n_trials=0
        )
        assert found.name == "sub-knn"
        assert {one.name: one.status for one in found.candidates} == {"sub-knn": "OK", "Failing": "FAILED"}

    def test_all_fail_in_the_trials(self, monkeypatch):
        monkeypatch.setattr(Tiring, "runs", -1)
        with pytest.raises(InputError, match=r"every candidate failed: Tiring: .*; Tiring-2: .* it is tired"):
            select(wave(), [Tiring(), Tiring()])

    def test_nothing_left(self):
        with pytest.raises(InputError, match="every candidate failed: Failing: RuntimeError"):
            select(wave(), [Failing()])

    def test_one_variable_only(self):
        found = select(np.c_[wave(), wave(seed=1)], ["sub-knn", "merlion-zms"])
        assert {one.name: one.status for one in found.candidates}["merlion-zms"] == "FAILED"


class TestBudget:
    """Time is what the fakes make of it: on a busy machine the real one would decide."""

    @pytest.fixture(autouse=True)
    def _clock(self, monkeypatch):
        monkeypatch.setattr(budget, "time", SimpleNamespace(perf_counter=lambda: Clock.now))

    def test_a_candidate_that_does_not_fit_is_reported(self):
        found = select_detector(wave(3000), [Fast(), Slow(), Distance()], budget=20.0, n_trials=4)
        report = {one.name: one for one in found.candidates}["Slow"]
        assert (report.status, report.rank) == ("OVER BUDGET", None)
        # Pilot: twice 256 points and 1,024. Forecast: 3,000 points for the series and for three trials.
        assert report.seconds == pytest.approx(15.36)
        assert report.reason.startswith("needs about 120.0 s, 4.")
        assert "Slow (over budget)" in found.reasons[-1]
        assert not found.complete
        assert found.n_trials == 4
        assert found.seconds < 20

    def test_growth_is_foreseen(self):
        found = select_detector(wave(8000), [Fast(), Quadratic()], budget=100.0, n_trials=4)
        report = {one.name: one for one in found.candidates}["Quadratic"]
        assert report.reason.startswith("needs about 256.0 s")  # 64 s a run; linear growth would have said 33

    def test_no_pilot_where_nothing_is_left(self):
        found = select_detector(wave(), [Slow(), Fast()], budget=1.0)
        report = {one.name: one for one in found.candidates}["Fast"]
        assert report.seconds == 0
        assert report.reason == "all of 1.0 s were spent or planned when its turn came"

    def test_the_first_is_run_whatever_it_takes(self):
        found = select_detector(wave(), [Slow(), Fast()], budget=1e-3)
        assert found.name == "Slow"
        assert found.n_trials == 0
        assert not found.complete
        assert "only candidate that could be run" in found.reasons[0]

    def test_trials_end_with_the_budget(self):
        slow, fast = Slow(1e-3), Fast()
        found = select_detector(wave(), [slow, fast], budget=15.0, n_trials=100)
        # 1.2 s a round, and 1.7 s for the pilot and the series before
        assert 9 <= found.n_trials <= 11
        assert 13 < found.seconds <= 15
        assert not found.complete
        assert f"Only {found.n_trials} of 100 trials" in found.reasons[-1]

    def test_time_to_fit_the_whole_series_is_kept(self):
        found = select_detector(wave(3000), [Slow(1e-3), Fast()], budget=15.0, n_trials=100, max_points=1000)
        assert found.seconds <= 15
        assert found.detector.decision_scores_.shape == (3000,)

    def test_growth_is_foreseen_for_the_whole_series(self):
        options = {"n_trials": 100, "max_points": 1000}
        found = select_detector(wave(8000), [Fast(), Quadratic()], budget=60.0, **options)
        report = {one.name: one for one in found.candidates}["Quadratic"]
        assert report.reason.startswith("needs about 67.0 s")  # 3 s for trials, 64 s for all
        found = select_detector(wave(8000), [Quadratic(), Fast()], budget=80.0, **options)
        assert 10 < found.n_trials < 20
        assert 70 < found.seconds <= 80

    def test_growth_is_that_of_the_longest_run(self):
        """The first points cost most here, which makes the pilot foresee a growth by the square."""
        options = {"n_trials": 4, "max_points": 4000}
        found = select_detector(wave(40_000), [Fast(), Stepped()], budget=300.0, **options)
        assert {one.name: one.status for one in found.candidates} == {"Fast": "OK", "Stepped": "OK"}

    def test_injection_and_judgement_count(self, monkeypatch):
        def judge(*args):
            Clock.now += 1.0
            return measure(*args)

        monkeypatch.setattr(runs, "measure", judge)
        found = select_detector(wave(), [Fast(), Fast()], budget=10.0, n_trials=100)
        assert found.n_trials == 4  # of two seconds and a bit
        assert found.seconds <= 10

    def test_no_limit_is_complete(self):
        assert select(wave()).complete


class TestSeries:
    @pytest.mark.parametrize("n", [1, 2, 7, 20, 64, 300])
    def test_short(self, n):
        found = select(wave(n), ["sub-knn", "moving-variance"])
        assert found.detector.decision_scores_.shape == (n,)
        assert (found.n_trials > 0) == (n >= 64)

    @pytest.mark.parametrize("series", [np.ones(500), np.full((500, 2), 3), np.r_[np.zeros(499), 1]])
    def test_degenerate(self, series):
        found = select(series)
        assert np.isfinite(found.detector.decision_scores_).all()

    def test_gaps_lists_and_frames(self):
        pd = pytest.importorskip("pandas")
        series = wave()
        series[[0, 100, 101]] = np.nan
        expected = without_times(select(series, n_trials=2))
        for given in (series.tolist(), pd.Series(series), pd.DataFrame({"a": series}), series[:, None]):
            assert without_times(select(given, n_trials=2)) == expected

    @pytest.mark.parametrize(("name", "looks"), [("is_anomaly", "labels"), ("timestamp", "time stamps")])
    def test_a_column_that_is_no_measurement_is_refused(self, name, looks):
        pd = pytest.importorskip("pandas")
        frame = pd.DataFrame({"load": wave(300), name: np.arange(300) % 100 == 0})
        with pytest.raises(InputError, match=f"its column '{name}' looks like {looks}"):
            select(frame)

    def test_doubtful_input_is_warned_of_once(self, tmp_path):
        series = np.c_[wave(300), np.linspace(0, 1, 300)]
        candidates = ["vetime", "sub-knn"]
        with pytest.warns(InputWarning, match="column 1 that rises") as caught:
            found = select(series, candidates, weights=save_tiny_weights(tmp_path), n_trials=1)
        assert len(caught) == 1
        with pytest.warns(InputWarning, match="column 1 that rises"):
            CandidateDetector("sub-knn").fit(series)
        assert found.candidates[0].status == "OK"

    def test_several_variables(self):
        one = wave()
        found = select(np.c_[one, one + wave(seed=1) / 4, np.ones(1200)], n_trials=8)
        assert found.n_trials == 8
        assert set(found.kinds) & {"broken_correlation", "lag_change", "one_variable"}
        assert "3 variables, related" in found.series

    def test_a_variable_that_fell_silent(self):
        series = np.c_[wave(), wave(seed=1)]
        series[500:, 1] = np.nan
        found = select(series, max_points=400, n_trials=3)
        assert found.n_trials == 3
        assert [one.status for one in found.candidates] == ["OK"] * 3

    def test_no_anomaly_can_be_seen(self):
        found = select(wave(40))
        assert found.complete
        assert found.reasons[-1] == (
            "No trial could be made: the series is too short, or hides what is injected."
        )

    def test_input_is_not_changed(self):
        series = wave()
        before = series.copy()
        select(series, n_trials=2)
        np.testing.assert_array_equal(series, before)


class TestReport:
    def test_evidence_is_complete_and_adds_up(self):
        found = select(wave(), n_trials=7)
        assert found.n_trials == 7
        assert sorted(one.rank for one in found.candidates) == [1, 2, 3]
        for report in found.candidates:
            assert np.mean(report.by_trial) == pytest.approx(report.detection)
            assert np.mean(report.pointwise_by_trial) == pytest.approx(report.pointwise)
            assert len(report.by_trial) == len(report.pointwise_by_trial) == 7
            assert set(report.by_group) == {"points", "level", "texture", "shape", "timing"}
            assert set(report.pointwise_by_group) == set(report.by_group)
            assert 0 <= report.detection <= 1
            assert -1 <= report.agreement <= 1
            assert report.seconds >= 0

    def test_json(self):
        found = select(wave())
        assert json.loads(found.to_json()) == found.as_dict()
        assert "detector" not in found.as_dict()
        assert found.as_dict()["ranking"] == found.ranking

    def test_best_is_not_said_of_a_detector_that_smears(self):
        found = select(wave(), [Smeared(), Distance()], default="Smeared", n_trials=1)
        assert found.kinds.keys() <= set(GROUPS["points"])
        smeared, sharp = found.candidates if found.name == "Smeared" else found.candidates[::-1]
        assert sharp.pointwise_by_group["points"] > smeared.pointwise_by_group["points"]
        said = "Another candidate was better at: points (Distance" in " ".join(found.reasons)
        assert said == (found.name == "Smeared")
        assert "Smeared was best at" not in " ".join(found.reasons)

    def test_text(self):
        text = str(select(wave()))
        assert text.startswith("selected: sub-knn\n")
        assert all(name in text for name in FAST)

    def test_progress(self):
        seen = []
        select(wave(), n_trials=2, progress=lambda what, done: seen.append((what, done)))
        assert seen[0] == ("scoring with sub-knn", 0.0)
        assert seen[-1][0].startswith("trial 2 (")
        assert all(0 <= done <= 1 for _, done in seen)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget must be a number of seconds above 0"),
        ({"budget": "60"}, "budget must be a number of seconds above 0.*got '60'"),
        ({"n_trials": -1}, "n_trials must be a whole number >= 0, got -1"),
        ({"n_trials": 2.5}, "n_trials must be a whole number"),
        ({"max_points": 0}, "max_points must be a whole number >= 1"),
        ({"max_points": 1.5}, "max_points must be a whole number"),
        ({"random_state": None}, "random_state must be a whole number.*got None"),
        ({"random_state": -1}, "random_state must be"),
        ({"series": [wave(50), wave(60)]}, "series needs to be one series, got a list of 2"),
        ({"default": "vetime"}, "default must be one of the candidates sub-knn.*got 'vetime'"),
        ({"threshold": "best"}, "threshold must be one of"),
        ({"contamination": 0.7}, "contamination must be in"),
        ({"series": np.zeros((2, 2, 2))}, "series needs shape"),
        ({"series": [1.0, np.inf]}, "infinite"),
        ({"series": ["a", "b"]}, "series needs numbers"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        select(options.pop("series", wave(100)), **options)
