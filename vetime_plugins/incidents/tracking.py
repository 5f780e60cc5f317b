"""Incidents in a stream of scores: one opens, grows and closes."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins._arguments import check_whole, is_real
from vetime_plugins.errors import InputError
from vetime_plugins.incidents.grouping import default_gap, heights, join_close, lower_level, part
from vetime_plugins.incidents.records import Incident
from vetime_plugins.thresholds import check_scores

__all__ = ["IncidentEvent", "IncidentTracker"]

_REMEMBERED = 1000  # scores that tell the median


@dataclass(frozen=True)
class IncidentEvent:
    """What became known of an incident.

    Attributes
    ----------
    what : {"opened", "grew", "closed"}
    incident : Incident
        As it is known now, from the first to the last step above the threshold so far; positions count the
        scores that the tracker has seen. When it closes, its start and end are those that the rule of
        `find_incidents` gives for the scores alone.
    """

    what: Literal["opened", "grew", "closed"]
    incident: Incident


@dataclass
class _Run:
    """Scores above the lower level, with breaks of at most a gap.

    Attributes
    ----------
    first, last : int
        Its first step, and the latest above the lower level.
    scores, above : list
        From `first` on: scores, and whether each was above the threshold when it came.
    floor : float
        Level from which heights count, as it was when the threshold was first exceeded.
    plain : bool
        Whether scores were taken for heights as they are then, and not for probabilities.
    """

    first: int
    last: int
    scores: list[float] = field(default_factory=list)
    above: list[bool] = field(default_factory=list)
    floor: float = 0.0
    plain: bool = False


class IncidentTracker:
    """Follow the scores of a stream, of `StreamingVETime` or any other detector, and tell of incidents.

    The first score above the threshold opens an incident, each further one lets it grow. It closes once
    `gap` + 1 scores in a row are not above the lower level of `find_incidents`, halfway from the median score
    to the threshold. Only then is it known how far it reached, and whether it was one: where a valley parts
    it, there is one event "closed" for each part. What is told never depends on how the scores are cut into
    batches.

    Parameters
    ----------
    threshold : float
        Scores above it are anomalous. It may be assigned anew at any time.
    gap : int, default 8
        How many quiet steps do not end an incident.
    median : float, optional
        The median score, where it is known. By default that of the latest 1,000 scores.

    Raises
    ------
    InputError
        If `threshold` or `median` is not a finite number or `gap` no whole number from 0.

    Notes
    -----
    The incidents that close are those of `find_incidents` for the same scores, threshold and `gap`, without a
    series, if `median` is the median of all of them. What a stream does not know it cannot use: its median is
    that of the scores so far, and scores count as probabilities until one is not in [0, 1].

    Examples
    --------
    >>> tracker = IncidentTracker(threshold=0.5, gap=1)
    >>> [event.what for event in tracker.update([0.1, 0.9, 0.8, 0.1])]
    ['opened', 'grew']
    >>> event, = tracker.update([0.1])
    >>> event.what, event.incident.start, event.incident.end
    ('closed', 1, 2)
    """

    def __init__(
        self, threshold: float, gap: int = default_gap(None), *, median: float | None = None
    ) -> None:
        self.threshold = threshold
        self.gap = check_whole("gap", gap, least=0, meaning="quiet steps that do not end an incident")
        if median is not None and not (is_real(median) and np.isfinite(median)):
            raise InputError(f"median must be a finite number or None, got {median!r}")
        self.median = median
        self._n_seen = 0
        self._plain = False  # whether a score was no probability
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)
        self._ordered: list[float] = []  # the same in ascending order
        self._run: _Run | None = None
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
        """Take the next score or scores (n,) and return what they tell, in order.

        Raises
        ------
        InputError
            If a score is not a finite number. The tracker is then as it was before.
        """
        events: list[IncidentEvent] = []
        for score in check_scores(np.atleast_1d(scores), least=0).tolist():
            events += self._step(score)
        return events

    def close(self) -> list[IncidentEvent]:
        """End the open incident, if there is one: the stream is over."""
        return self._end_run()

    def state_dict(self) -> dict[str, Any]:
        """Return what the tracker remembers, as numbers and lists; the settings are not among it."""
        one, run = self._open, self._run
        return {
            "n_seen": self._n_seen,
            "plain": self._plain,
            "recent": list(self._recent),
            "open": None if one is None else [one.start, one.end, one.peak, one.severity],
            "run": None if run is None else asdict(run),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where the tracker that gave `state` stood.

        Raises
        ------
        ValueError, KeyError or TypeError
            If `state` is none of `state_dict`.
        """
        seen = check_whole("n_seen", state["n_seen"], least=0)
        recent = [float(score) for score in state["recent"]]
        run, known = None, None
        if state["run"] is not None:
            run = _read_run(state["run"])
            if not (run.first <= run.last < seen and len(run.scores) == len(run.above) == seen - run.first):
                raise ValueError(f"a run from {run.first} to {run.last} after {seen} scores")
        if state["open"] is not None:
            start, end, peak = (check_whole("position", at, least=0) for at in state["open"][:3])
            known = Incident(start, end, peak, float(state["open"][3]))
        if (known is not None) != (run is not None and any(run.above)):
            raise ValueError("an incident without a step above the threshold, or such a step without one")
        if run is not None and known is not None:
            over = run.first + np.flatnonzero(run.above)
            if (known.start, known.end) != (over[0], over[-1]) or not run.above[known.peak - run.first]:
                raise ValueError(f"an incident from {known.start} to {known.end} with peak {known.peak}")
            if run.scores[known.peak - run.first] != known.severity:
                raise ValueError(f"an incident of severity {known.severity} whose peak has another score")
        held = [] if run is None else [*run.scores, run.floor]
        if len(recent) > min(seen, _REMEMBERED) or not np.isfinite([*recent, *held]).all():
            raise ValueError("scores that are not finite, or more than were seen")
        self._n_seen, self._plain, self._run, self._open = seen, bool(state["plain"]), run, known
        self._recent, self._ordered = deque(recent, maxlen=_REMEMBERED), sorted(recent)

    def _step(self, score: float) -> list[IncidentEvent]:
        at, self._n_seen = self._n_seen, self._n_seen + 1
        self._plain = self._plain or not 0 <= score <= 1
        self._remember(score)
        above = score > self.threshold
        plain = self._plain or not 0 <= self.threshold <= 1
        *middles, limit, level = _heights([*self._middle(), self.threshold, score], plain).tolist()
        middle = sum(middles) / len(middles)
        low = lower_level(middle, limit)
        if above or level > low:
            if self._run is None:
                self._run = _Run(at, at)
            self._run.last = at
        if self._run is None:
            return []
        self._run.scores.append(score)
        self._run.above.append(above)
        if not above:
            return self._end_run() if at - self._run.last > self.gap else []
        if self._open is None:
            self._run.floor, self._run.plain = max(low, middle), plain
            self._open = Incident(at, at, at, score)
            return [IncidentEvent("opened", self._open)]
        self._open = replace(self._open, end=at)
        if score > self._open.severity:
            self._open = replace(self._open, peak=at, severity=score)
        return [IncidentEvent("grew", self._open)]

    def _remember(self, score: float) -> None:
        if self.median is not None:
            return
        if len(self._recent) == _REMEMBERED:
            del self._ordered[bisect_left(self._ordered, self._recent[0])]
        self._recent.append(score)
        insort(self._ordered, score)

    def _middle(self) -> list[float]:
        """Return the median score, or the two between which it is."""
        if self.median is not None:
            return [self.median]
        count = len(self._ordered)
        return self._ordered[(count - 1) // 2 : count // 2 + 1]

    def _end_run(self) -> list[IncidentEvent]:
        """Forget the run, and tell of the incidents in it."""
        run, known = self._run, self._open
        self._run = self._open = None
        if run is None or known is None:
            return []
        count = run.last - run.first + 1
        level = _heights(run.scores[:count], run.plain)
        found = [one for one in part(level, 0, count, run.floor, self.gap) if run.above[one.peak]]
        return [
            IncidentEvent(
                "closed",
                Incident(run.first + a, run.first + b - 1, run.first + peak, run.scores[peak]),
            )
            for a, b, peak, *_ in join_close(found, level, self.gap)
        ]


def _heights(scores: list[float], plain: bool) -> NDArray[np.float64]:
    """Return scores as they are, or as logits of probabilities."""
    values = np.array(scores)
    return values if plain else heights(values.clip(0, 1))


def _read_run(state: Mapping[str, Any]) -> _Run:
    first, last = (check_whole("position", state[name], least=0) for name in ("first", "last"))
    scores, above = [float(score) for score in state["scores"]], [bool(one) for one in state["above"]]
    return _Run(first, last, scores, above, float(state["floor"]), bool(state["plain"]))
