"""Incidents of a stream."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vetime_plugins import InputError
from vetime_plugins.incidents import IncidentTracker, find_incidents


def test_an_incident_opens_grows_and_closes():
    tracker = IncidentTracker(0.5, gap=2)
    events = tracker.update([0.1, 0.6, 0.9, 0.2, 0.7])
    assert [event.what for event in events] == ["opened", "grew", "grew"]
    assert tracker.open is not None
    assert (tracker.open.start, tracker.open.end, tracker.open.peak) == (1, 4, 2)
    assert tracker.update([0.1, 0.1]) == []
    (event,) = tracker.update([0.1])
    assert event.what == "closed"
    assert tracker.open is None
    assert event.incident.peak == 2
    assert event.incident.severity == 0.9


def test_a_closed_spike_is_one_step_however_broad_its_flank():
    scores = np.concatenate(
        [np.full(10, 0.1), np.full(20, 0.55), [0.999], np.full(20, 0.55), np.full(10, 0.1)]
    )
    events = IncidentTracker(0.5, gap=3).update(scores)
    closed = events[-1].incident
    assert (closed.start, closed.end) == (30, 30)


def extents(incidents):
    return sorted((one.start, one.end, one.peak, one.severity) for one in incidents)


def closed(tracker, *parts):
    """Return the incidents that a tracker closes, the stream being over after `parts`."""
    events = [event for part in parts for event in tracker.update(part)] + tracker.close()
    return [event.incident for event in events if event.what == "closed"]


# Plateaus and slopes make valleys, flanks and breaks; lone numbers hardly ever do. An odd number of scores
# has one of them for its median.
PROBABILITIES = st.one_of(st.sampled_from([0.0, 0.05, 0.4, 0.6, 0.9, 0.97, 0.999, 1.0]), st.floats(0, 1))
NUMBERS = st.one_of(st.integers(-3, 30).map(float), st.floats(-3, 30))


def courses(levels):
    pieces = st.lists(st.tuples(levels, levels, st.integers(1, 12)), min_size=1, max_size=12)
    whole = pieces.map(lambda found: np.concatenate([np.linspace(*one) for one in found]))
    return whole.map(lambda scores: scores if len(scores) % 2 else scores[:-1]).filter(len)


@given(courses(PROBABILITIES), PROBABILITIES, st.integers(0, 9), st.integers(1, 9))
def test_closed_incidents_are_those_of_the_whole_series(scores, threshold, gap, parts):
    tracker = IncidentTracker(threshold, gap, median=float(np.median(scores)))
    found = find_incidents(scores, threshold=threshold, gap=gap)
    assert extents(closed(tracker, *np.array_split(scores, parts))) == extents(found)
    assert tracker.open is None


@given(courses(NUMBERS), NUMBERS, st.integers(0, 9))
def test_so_they_are_where_scores_are_no_probabilities(scores, threshold, gap):
    scores[0] = -4.0  # a stream knows from here on
    tracker = IncidentTracker(threshold, gap, median=float(np.median(scores)))
    found = find_incidents(scores, threshold=threshold, gap=gap)
    assert extents(closed(tracker, scores)) == extents(found)


def test_a_valley_parts_what_opened_as_one():
    scores = np.full(101, 0.5)
    scores[40:43], scores[43:50], scores[50:53] = 0.9999, 0.99, 0.9999
    tracker = IncidentTracker(0.9, gap=2)
    what = [event.what for event in tracker.update(scores)]
    assert what == ["opened", *["grew"] * 12, "closed", "closed"]
    assert extents(closed(IncidentTracker(0.9, gap=2), scores)) == extents(
        find_incidents(scores, threshold=0.9, gap=2)
    )


def test_the_latest_scores_tell_the_median():
    # The level down to which an incident reaches follows them, and only them.
    rng = np.random.default_rng(3)
    scores = 1 / (1 + np.exp(-rng.logistic(size=6000)))
    for at in range(1500, 6000, 500):
        scores[at : at + 9] = 1 - 10 ** -np.array([1, 2, 3, 4.5, 6, 5, 3, 2, 1])
    assert extents(closed(IncidentTracker(0.9999), scores)) == extents(
        find_incidents(scores, threshold=0.9999)
    )
    early = np.concatenate([np.full(5000, 0.001), scores])
    moved = [
        (a - 5000, b - 5000, peak - 5000, x)
        for a, b, peak, x in extents(closed(IncidentTracker(0.9999), early))
    ]
    assert moved == extents(find_incidents(scores, threshold=0.9999))


def test_the_batches_do_not_matter():
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=500) ** 3
    whole = IncidentTracker(0.6, gap=4)
    expected = [*whole.update(scores), *whole.close()]
    pieces = IncidentTracker(0.6, gap=4)
    found = [event for part in np.array_split(scores, 37) for event in pieces.update(part)] + pieces.close()
    assert found == expected
    assert whole.n_seen == pieces.n_seen == 500
    assert {event.what for event in found} == {"opened", "grew", "closed"}


def test_nothing_open_nothing_to_close():
    assert IncidentTracker(0.5).close() == []


def test_the_threshold_may_move():
    tracker = IncidentTracker(0.5)
    tracker.threshold = 0.95
    assert tracker.update([0.9]) == []


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": np.nan},
        {"threshold": "auto"},
        {"threshold": 0.5, "gap": -1},
        {"threshold": 0.5, "median": np.inf},
    ],
)
def test_parameters_are_checked(options):
    with pytest.raises(InputError):
        IncidentTracker(**options)


@pytest.mark.parametrize(
    ("scores", "message"),
    [([0.9, np.nan], "finite.*position 1"), ([[0.9]], r"shape \(n,\)"), (["high"], "must be numbers")],
)
def test_a_bad_score_changes_nothing(scores, message):
    tracker = IncidentTracker(0.5)
    with pytest.raises(InputError, match=message):
        tracker.update(scores)
    with pytest.raises(InputError, match=message):
        find_incidents(scores)
    assert tracker.n_seen == 0
    assert tracker.open is None


def test_threshold_that_rises_above_the_peak_closes_all_the_same():
    tracker = IncidentTracker(0.5, gap=0)
    tracker.update([0.1, 0.9, 0.8])
    tracker.threshold = 0.95
    (event,) = tracker.update([0.9])
    assert (event.what, event.incident.start, event.incident.end) == ("closed", 1, 2)


def test_state_goes_on_where_it_stood():
    rng = np.random.default_rng(1)
    scores = rng.uniform(size=1500) ** 0.3
    for cut in (0, 5, 700, 1200, 1203):
        tracker, twin = IncidentTracker(0.99, gap=1), IncidentTracker(0.99, gap=1)
        tracker.update(scores[:cut])
        twin.load_state_dict(json.loads(json.dumps(tracker.state_dict())))
        assert twin.open == tracker.open
        assert twin.update(scores[cut:]) == tracker.update(scores[cut:])


@pytest.mark.parametrize(
    "change",
    [
        {"open": [1, 2, 2, 0.9]},  # the peak is step 1
        {"open": [0, 2, 1, 0.9]},
        {"open": [1, 2, 1, 0.7]},
        {"open": None},
        {"run": None},
        {"n_seen": 2},
        {"recent": [np.nan]},
        {"recent": [0.1] * 9},
    ],
)
def test_a_state_that_cannot_be_is_refused(change):
    tracker = IncidentTracker(0.5, gap=1)
    tracker.update([0.1, 0.9, 0.8])
    assert tracker.state_dict()["open"] == [1, 2, 1, 0.9]
    with pytest.raises((ValueError, TypeError)):
        IncidentTracker(0.5, gap=1).load_state_dict(tracker.state_dict() | change)
