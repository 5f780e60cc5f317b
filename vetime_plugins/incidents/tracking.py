"""Incidents in a stream of scores: one opens, grows and closes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from vetime_plugins._arguments import check_whole, is_real
from vetime_plugins.errors import InputError
from vetime_plugins.incidents.grouping import default_gap, heights
from vetime_plugins.incidents.records import Incident

__all__ = ["IncidentEvent", "IncidentTracker"]


@dataclass(frozen=True)
class IncidentEvent:
    """What became known of an incident.

    Attributes
    ----------
    what : {"opened", "grew", "closed"}
    incident : Incident
        As it is known now, `end` being the last step above the threshold so far; positions count the scores
        that the tracker has seen. When it closes, its start and end are those that the rule of
        `find_incidents` gives for the scores alone.
    """

    what: Literal["opened", "grew", "closed"]
    incident: Incident


class IncidentTracker:
    """Follow the scores of a stream, of `StreamingVETime` or any other detector, and tell of incidents.

    The first score above the threshold opens an incident, each further one lets it grow, and it closes once
    `gap` + 1 scores in a row are not above the threshold. What is told never depends on how the scores are
    cut into batches.

    Parameters
    ----------
    threshold : float
        Scores above it are anomalous. It may be assigned anew at any time.
    gap : int, default 8
        How many quiet steps do not end an incident.

    Raises
    ------
    InputError
        If `threshold` is not a finite number or `gap` no whole number from 0.

    Examples
    --------
    >>> tracker = IncidentTracker(threshold=0.5, gap=1)
    >>> [event.what for event in tracker.update([0.1, 0.9, 0.8, 0.1])]
    ['opened', 'grew']
    >>> event, = tracker.update([0.1])
    >>> event.what, event.incident.start, event.incident.end
    ('closed', 1, 2)
    """

    def __init__(self, threshold: float, gap: int = default_gap(None)) -> None:
        self.threshold = threshold
        self.gap = check_whole("gap", gap, least=0, meaning="quiet steps that do not end an incident")
        self._n_seen = 0
        self._first = 0
        self._scores: list[float] = []  # from the first step of the open incident on
        self._opened_above = 0.0  # the threshold then: a later one may lie above the peak
        self._open: Incident | None = None

    @property
    def threshold(self) -> float:
        """Scores above it are anomalous."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold: float) -> None:
        if not is_real(threshold) or not np.isfinite(threshold):
            raise InputError(f"threshold must be a finite number, got {threshold!r}")
        self._threshold = float(threshold)

    @property
    def open(self) -> Incident | None:
        """The incident that goes on, as it is known now; None where there is none."""
        return self._open

    @property
    def n_seen(self) -> int:
        """Number of scores seen."""
        return self._n_seen

    def update(self, scores: ArrayLike) -> list[IncidentEvent]:
        """Take the next scores (n,) and return what they tell, in order.

        Raises
        ------
        InputError
            If a score is not a finite number. The tracker is then as it was before.
        """
        given = np.atleast_1d(np.asarray(scores, dtype=np.float64))
        if given.ndim != 1 or not np.isfinite(given).all():
            raise InputError(f"scores must be finite numbers of shape (n,), got shape {given.shape}")
        events: list[IncidentEvent] = []
        for score in given.tolist():
            events += self._step(score)
        return events

    def close(self) -> list[IncidentEvent]:
        """End the open incident, if there is one: the stream is over."""
        return [] if self._open is None else [self._close()]

    def state_dict(self) -> dict[str, Any]:
        """Return what the tracker remembers, as numbers and lists; the settings are not among it."""
        one = self._open
        known = None if one is None else [one.start, one.end, one.peak, one.severity]
        above = self._opened_above
        return {"n_seen": self._n_seen, "scores": list(self._scores), "open": known, "opened_above": above}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the tracker that gave `state` stood.

        Raises
        ------
        ValueError, KeyError or TypeError
            If `state` is none of `state_dict`.
        """
        seen = check_whole("n_seen", state["n_seen"], least=0)
        scores, known = [float(score) for score in state["scores"]], None
        if state["open"] is not None:
            start, end, peak = (check_whole("position", at, least=0) for at in state["open"][:3])
            known = Incident(start, end, peak, float(state["open"][3]))
            if not (start <= peak <= end < seen and len(scores) == seen - start):
                raise ValueError(f"an incident from {start} to {end} after {seen} scores")
        elif scores:
            raise ValueError(f"{len(scores)} scores of no incident")
        above = float(state["opened_above"])
        if not np.isfinite([*scores, above, 0.0 if known is None else known.severity]).all():
            raise ValueError("a score is not finite")
        if known is not None and not above < scores[known.peak - known.start] == known.severity:
            raise ValueError(f"an incident of severity {known.severity} that opened above {above}")
        self._opened_above = above
        self._n_seen, self._scores, self._open = seen, scores, known
        self._first = seen - len(scores)

    def _step(self, score: float) -> list[IncidentEvent]:
        at, self._n_seen = self._n_seen, self._n_seen + 1
        if score > self.threshold:
            if self._open is None:
                self._first, self._scores, self._opened_above = at, [score], self.threshold
                self._open = Incident(at, at, at, score)
                return [IncidentEvent("opened", self._open)]
            self._scores.append(score)
            self._open = replace(self._open, end=at)
            if score > self._open.severity:
                self._open = replace(self._open, peak=at, severity=score)
            return [IncidentEvent("grew", self._open)]
        if self._open is None:
            return []
        self._scores.append(score)
        return [self._close()] if at - self._open.end > self.gap else []

    def _close(self) -> IncidentEvent:
        assert self._open is not None
        known = self._open
        level = heights(np.append(self._scores, self._opened_above))
        part, floor = level[: known.end - self._first + 1], float(level[-1])
        high = np.flatnonzero(part >= floor + 0.5 * (level[known.peak - self._first] - floor))
        closed = replace(known, start=self._first + int(high[0]), end=self._first + int(high[-1]))
        self._open, self._scores = None, []
        return IncidentEvent("closed", closed)
