"""Copies of a series with synthetic anomalies, and how well scores find them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d
from scipy.stats import rankdata

from vetime_plugins.errors import InputError
from vetime_plugins.metrics import evaluate
from vetime_plugins.selection.profile import GROUPS, Profile
from vetime_plugins.synthesis import inject

__all__ = [
    "METRIC",
    "POINTWISE",
    "Found",
    "Trial",
    "find_suspects",
    "iterate_trials",
    "margin_for",
    "measure",
]

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]

METRIC, POINTWISE = "VUS-PR", "AUC-PR"

_SHORTEST = 64  # below, an anomaly of a few points is too large a share of the series
_POINTS_AN_ANOMALY = 500
_MOST_ANOMALIES = 4
_SEVERITIES = ((0.2, 0.6), (0.6, 1.0))
_ATTEMPTS = 5
_TOP = 0.05
_AGREE = 0.75
_MOST_SUSPECTS = 0.05


class Found(NamedTuple):
    """How well scores find the anomalies of a trial.

    VUS-PR forgives scores that are smeared over its buffer, AUC-PR counts every point. The order of the
    candidates goes by the mean of the two.
    """

    ranged: float
    pointwise: float

    @property
    def mean(self) -> float:
        """Mean of the two."""
        return (self.ranged + self.pointwise) / 2


@dataclass(frozen=True, eq=False)
class Trial:
    """A copy of the series, (T, C), with anomalies of one of `GROUPS`, which are known.

    `labels` (T,) is 1 where an anomaly was put, `judged` (T,) False at points that are suspect in the series
    itself.
    """

    group: str
    kinds: tuple[str, ...]
    values: Scores
    labels: NDArray[np.uint8]
    judged: Mask


def margin_for(period: int) -> int:
    """Return how far, in points, windows of one period may smear what stands out."""
    return int(np.clip(period // 4, 2, 32))


def find_suspects(raw_scores: Sequence[Scores], margin: int) -> Mask:
    """Return the points (T,) that the candidates agree to be anomalous in the series as it came.

    Each scored it, (T,). Suspect are points that three quarters of the candidates have among their highest
    5 %, and `margin` points on both sides; the most agreed first, until they are a twentieth of the series.
    None where there is one candidate: alone it would excuse its own false alarms.
    """
    n_points = len(raw_scores[0])
    if len(raw_scores) < 2:
        return np.zeros(n_points, dtype=bool)
    heights = np.stack([rankdata(scores, "average") / n_points for scores in raw_scores])
    agreed = np.quantile(heights, 1 - _AGREE, axis=0)
    most = _MOST_SUSPECTS * n_points
    levels = np.unique(agreed[agreed > 1 - _TOP])[::-1]
    low, high = 0, len(levels)  # the largest number of levels that keeps within the bound, one at least
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _around(agreed, levels[middle], margin).sum() <= most else (low, middle)
    return _around(agreed, levels[low], margin) if len(levels) else np.zeros(n_points, dtype=bool)


def _around(agreed: Scores, level: float, margin: int) -> Mask:
    """Return the points at or above a level, and `margin` points on both sides."""
    return maximum_filter1d(agreed >= level, 2 * margin + 1, mode="constant")


def iterate_trials(
    values: Scores, profile: Profile, suspects: Mask, margin: int, seed: int
) -> Iterator[Trial]:
    """Yield trials of values (T, C) without end, the groups in turn; nothing where no anomaly can be put.

    None is put on points that are suspect, (T,), nor nearer to them than `margin` points.
    """
    if len(values) < _SHORTEST:
        return
    blocked = maximum_filter1d(suspects, 2 * margin + 1, mode="constant")
    lost: set[str] = set()
    for number, group in enumerate(_turns(profile.groups)):
        if len(lost) == len(profile.groups):
            return
        if group in lost:
            continue
        severity = _SEVERITIES[number // len(profile.groups) % len(_SEVERITIES)]
        trial = _make(values, profile, group, severity, suspects, blocked, (seed, number))
        if trial is None:
            lost.add(group)
        else:
            yield trial


def measure(trial: Trial, scores: Scores, buffer: int) -> Found:
    """Return how well scores (T,) find the anomalies of a trial, suspect points left out.

    What is left is judged as one series: injected anomalies are farther than the margin from every cut.
    """
    metrics = (METRIC, POINTWISE)
    found = evaluate(trial.labels[trial.judged], scores[trial.judged], buffer, metrics=metrics)
    return Found(float(found[METRIC]), float(found[POINTWISE]))


def _turns(shares: Mapping[str, int]) -> Iterator[str]:
    """Yield names for ever, each as often as its share says, every one once before any comes again."""
    rounds = [
        [name for name, share in shares.items() if share > turn] for turn in range(max(shares.values()))
    ]
    return itertools.cycle(itertools.chain.from_iterable(rounds))


def _make(
    values: Scores,
    profile: Profile,
    group: str,
    severity: tuple[float, float],
    suspects: Mask,
    blocked: Mask,
    seed: tuple[int, int],
) -> Trial | None:
    count = min(max(len(values) // _POINTS_AN_ANOMALY, 1), _MOST_ANOMALIES)
    for attempt in range(_ATTEMPTS):
        drawn = int(np.random.SeedSequence((*seed, attempt)).generate_state(1)[0])
        try:
            made = inject(
                values, GROUPS[group], n=count, severity=severity, period=profile.period, seed=drawn
            )
        except InputError:  # nothing of these kinds can be seen in this series
            continue
        changed, labels = made.values.copy(), made.labels.copy()
        kinds = []
        for anomaly in made.kinds:
            span = slice(anomaly.start, anomaly.stop)
            if blocked[span].any():
                changed[span], labels[span] = values[span], 0
            else:
                kinds.append(anomaly.kind)
        if kinds and not labels.all():
            return Trial(group, tuple(kinds), changed, labels, ~suspects)
    return None
