"""Incidents of a stream."""

from __future__ import annotations

import numpy as np
import pytest

from vetime_plugins import InputError
from vetime_plugins.incidents import IncidentTracker


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
    "options", [{"threshold": np.nan}, {"threshold": "auto"}, {"threshold": 0.5, "gap": -1}]
)
def test_parameters_are_checked(options):
    with pytest.raises(InputError):
        IncidentTracker(**options)


def test_a_bad_score_changes_nothing():
    tracker = IncidentTracker(0.5)
    with pytest.raises(InputError, match="finite"):
        tracker.update([0.9, np.nan])
    assert tracker.n_seen == 0
    assert tracker.open is None


def test_threshold_that_rises_above_the_peak_closes_all_the_same():
    tracker = IncidentTracker(0.5, gap=0)
    tracker.update([0.1, 0.9, 0.8])
    tracker.threshold = 0.95
    (event,) = tracker.update([0.9])
    assert (event.what, event.incident.start, event.incident.end) == ("closed", 1, 2)


def test_state_goes_on_where_it_stood():
    tracker, twin = IncidentTracker(0.5, gap=1), IncidentTracker(0.5, gap=1)
    tracker.update([0.1, 0.9, 0.8])
    twin.load_state_dict(tracker.state_dict())
    assert twin.open == tracker.open
    assert twin.update([0.7, 0.1, 0.1]) == tracker.update([0.7, 0.1, 0.1])
