"""What a margin means: how rarely a calm series like this one reaches it by chance.

The usual part of a series is told from its few anomalous runs, its bulk is counted and its tail is fitted, so
that also what never happened gets a probability. Everything follows from the margins themselves: another
unit or another level of them changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Runs = tuple[NDArray[np.intp], NDArray[np.intp]]

RISK, RISK_LASTING = 0.004, 0.016
"""Chance that a calm series as long as this one has a run above `Tail.alarm`, by the fitted tail; the
second is that for the mean over `LASTING` steps, which calm data reach less often. Both are small: the tail
of a single series is known roughly, and calm series are flagged several times as often."""
LASTING = 15
"""Steps over which a run may stand out that has no high peak: anomalies last, calm peaks do not."""
_TAIL, _LEAST_ABOVE, _MOST_ABOVE = 0.03, 10, 500
"""Share of what is usual that is fitted as the tail, and bounds of how many points that may be: few say
nothing of a tail, and of many the lower ones need no model."""
_SUSPECT, _SUSPECT_LASTING, _SUSPECT_WHOLE = 14.0, 8.6, 5.0
"""Before anything is known of the tail a run is suspect that many low widths above the median, or its mean
over `LASTING` steps the second number; it begins where it rises above the third. Anomalies hardly touch the
width below the median, even where they fill a tenth of a series and make up all of its tail."""
_ALIKE = 0.85
"""Where there is a suspect, others are suspect that come up to this share of the levels."""
_SUSPECT_FROM, _SUSPECT_GROWTH = 2000, 1.5
"""In a series e times as long as the first number, the second number of widths more."""
_GAP, _GAP_WITHIN, _GAP_LEAST = 7.0, 0.05, 4
"""So are the points above a gap of that many low widths among the highest 5 % of all, but 4 at least: a short
series tells little of its tail, yet nobody doubts two points that stand apart."""
_AGAIN, _AGAIN_PEAKS, _AGAIN_LASTING, _AGAIN_APART = 5.0, 5, 3, 150
"""So are several runs together that need not be by themselves: that many peaks above the first number of
widths, or that many means over `LASTING` steps. Calm series have one or two such runs; what recurs has more,
and hides in the tail that it makes up itself. A heavy tail has runs of every height: there may be one above
half of the widths in so many steps."""
_MOST = 1 / 3
"""Share of a series that may be taken for anomalous."""
_JOINED = 8
"""Steps between two runs of one incident, at most."""
_USUAL_EXCESS, _PRIOR_RUNS = 0.7, 8.0
"""Mean height of calm tails in low widths, measured as `_SUSPECT`; as many runs it is worth."""
_SHAPE, _UNSURE, _LEAST_TOLD, _RUN = 0.05, 1.5, 4.0, 7
"""Shape of the tail; the runs that are added to those that told its scale, and their least number; the points
of a run. A scale known from r runs makes an exponential tail one of shape 1 / r. The runs are not counted for
that: a worse anomaly would change their number, and now and then lower its own score."""
_KNOTS, _KNOT_POINTS, _KNOTS_ABOVE = 100, 4, 0.1
"""How many knots the distribution of the bulk has at most, how many points one stands for at least, and how
many of these knots there are besides from one level to that which e times fewer points reach. With a knot at
every point two margins that rounding alone tells apart would have scores 1 / T apart."""
_FEWEST = 100
"""Points of a reference that stand for themselves; fewer are joined with the series."""


@dataclass(frozen=True)
class Tail:
    """Distribution of what is usual in a series.

    Attributes
    ----------
    knots, shares : float64 ndarray of shape (k,)
        Some of the usual values in ascending order, and the share of usual points below each, ties halved.
    start : float
        Where the tail begins.
    share : float
        Share of usual points above it.
    scale, shape : float
        Of the generalised Pareto distribution of what exceeds `start`; shape > 0.
    runs : float
        Separate runs of usual points above `start`; where nearly all are in one, half of what is common.
    width : float
        From the 10 % quantile to the median.
    """

    knots: Array
    shares: Array
    start: float
    share: float
    scale: float
    shape: float
    runs: float
    width: float

    def alarm(self, risk: float = RISK) -> float:
        """Return the value that a calm series of this length and kind exceeds anywhere with chance `risk`."""
        depth = math.log(max(self.runs / risk, 1.0))
        return self.start + self.scale * math.expm1(self.shape * depth) / self.shape

    def probability(self, values: Array) -> Array:
        """Return the share of usual points that lie below each of `values`, (n,), in [0, 1)."""
        bulk = np.interp(values, self.knots, self.shares)
        below = np.minimum(values - self.knots[0], 0.0) / self.width
        bulk *= np.exp(np.maximum(below, -700.0))
        above = np.maximum(values - self.start, 0.0) / self.scale
        tail = self.share * np.exp(-np.log1p(self.shape * above) / self.shape)
        return np.where(values > self.start, 1.0 - tail, np.minimum(bulk, 1.0 - self.share))


def calibrate(margins: Array, usual: Array | None = None) -> Array:
    """Return the calibrated score of each margin: 0.999 is reached by chance once in 1,000 calm points.

    Parameters
    ----------
    margins : float64 ndarray of shape (T,)
        Anomaly logit minus normal logit, in the order of time; all -inf for a variable that never changes.
    usual : float64 ndarray of shape (n,), optional
        Margins of a reference. It decides alone what is usual, or together with the series where it has less
        than 100 points; one that never changes says nothing.

    Returns
    -------
    float64 ndarray of shape (T,)
        In [0, 1). Margins that differ have scores that differ and stand in the same order.
    """
    if not np.isfinite(margins).all():
        return np.zeros_like(margins)
    if usual is not None and not np.isfinite(usual).all():
        usual = None
    distinct, place = np.unique(margins, return_inverse=True)
    return _ascending(fit_tail(what_is_known(margins, usual)).probability(distinct))[place]


def what_is_known(margins: Array, usual: Array | None) -> Array:
    """Return what decides what is usual: the reference, what is said with it, or the series itself.

    Parameters
    ----------
    margins : float64 ndarray of shape (T,) or (T, C)
    usual : float64 ndarray of shape (n,) or (n, C), optional
    """
    if usual is None or not len(usual):
        return margins
    return usual if len(usual) >= _FEWEST else np.concatenate([usual, margins])


def fit_tail(values: Array) -> Tail:
    """Tell the usual part of a series from its anomalous runs, and return its distribution.

    Before the tail is known, a run is anomalous by the width below the median. That is done once: leaving
    out what the fitted tail finds rare, again and again, makes the tail of calm series ever shorter.

    Parameters
    ----------
    values : float64 ndarray of shape (n,)
        Finite, n >= 1, in the order of time.
    """
    middle, width = _low_width(values)
    longer = math.log(max(len(values) / _SUSPECT_FROM, 1.0))
    alarm, lasting = (
        middle + (widths + _SUSPECT_GROWTH * longer) * width for widths in (_SUSPECT, _SUSPECT_LASTING)
    )
    if np.quantile(values, 0.1) == middle:  # a width from above the median counts the anomalies in
        lasting = math.inf
    highest = np.sort(values)[-max(_GAP_LEAST, int(_GAP_WITHIN * len(values))) - 1 :]
    apart = np.flatnonzero(np.diff(highest) > _GAP * width)
    if len(apart):
        alarm = min(alarm, float(highest[apart[0]]))
    start = float(np.quantile(values, 1 - tail_share(len(values))))
    floor = min(start, alarm, middle + _SUSPECT_WHOLE * width)
    suspect = mark_runs(values, floor, alarm, lasting)
    if suspect.any():  # what resembles them is of their kind
        alarm, lasting = (middle + _ALIKE * (level - middle) for level in (alarm, lasting))
        suspect = mark_runs(values, min(floor, alarm), alarm, lasting)
    if lasting < math.inf:
        together = suspect | _mark_recurring(values, middle, width, longer)
        suspect = together if together.mean() <= _MOST else suspect
    return _fit_usual(values, ~suspect, width)


def tail_share(n: int) -> float:
    """Return the share of `n` points that is fitted as the tail."""
    return max(min(_TAIL, _MOST_ABOVE / n), min(0.5, _LEAST_ABOVE / n))


def expected_runs(n: int) -> float:
    """Return in how many runs the tail of `n` points commonly comes."""
    return tail_share(n) * n / _RUN


def find_runs(above: NDArray[np.bool_], joined: int = _JOINED) -> Runs:
    """Return where runs of True start and stop, those with at most `joined` steps between them as one."""
    edges = np.flatnonzero(np.diff(above, prepend=False, append=False))
    starts, stops = edges[::2], edges[1::2]
    apart = np.flatnonzero(starts[1:] - stops[:-1] > joined)
    return np.concatenate([starts[:1], starts[apart + 1]]), np.concatenate([stops[apart], stops[-1:]])


def run_peaks(values: Array, runs: Runs) -> Array:
    """Return the largest value of each run."""
    if not len(runs[0]):
        return np.empty(0)
    return np.maximum.reduceat(np.append(values, -np.inf), np.stack(runs, axis=1).ravel())[::2]


def stand_out(values: Array, runs: Runs, alarm: float, lasting: float) -> NDArray[np.bool_]:
    """Tell which runs exceed `alarm` somewhere, or `lasting` in the mean over `LASTING` steps."""
    return (run_peaks(values, runs) > alarm) | (run_peaks(_lasting_means(values), runs) > lasting)


def mark_runs(values: Array, floor: float, alarm: float, lasting: float = math.inf) -> NDArray[np.bool_]:
    """Mark the runs above `floor` that stand out, the highest ones, as far as they are few."""
    starts, stops = runs = find_runs(values > floor)
    order = np.argsort(-run_peaks(values, runs), kind="stable")
    few = np.cumsum((stops - starts)[order]) <= _MOST * len(values)
    chosen = order[few & stand_out(values, runs, alarm, lasting)[order]]
    edges = np.zeros(len(values) + 1, dtype=np.int64)
    edges[starts[chosen]] += 1
    edges[stops[chosen]] -= 1
    return edges.cumsum()[:-1] > 0


def _mark_recurring(values: Array, middle: float, width: float, longer: float) -> NDArray[np.bool_]:
    """Mark the runs that are together more than calm series have; all False where they are not.

    How high they need to be for that grows with the length of the series; which ones belong to them does not.
    """
    needed = middle + (_AGAIN + _SUSPECT_GROWTH * longer) * width
    level, floor, close = (middle + part * _AGAIN * width for part in (1.0, 0.5, _ALIKE))
    runs = find_runs(values > floor)
    if len(runs[0]) * _AGAIN_APART > len(values):
        return np.zeros(len(values), dtype=bool)
    often = (run_peaks(values, runs) > needed).sum() >= _AGAIN_PEAKS
    lasting = (run_peaks(_lasting_means(values), runs) > needed).sum() >= _AGAIN_LASTING
    return mark_runs(values, floor, level if often else math.inf, close if lasting else math.inf)


def _lasting_means(values: Array) -> Array:
    padded = np.pad(values / LASTING, LASTING // 2, mode="edge")
    return np.convolve(padded, np.ones(LASTING), mode="valid")


def _fit_usual(values: Array, usual: NDArray[np.bool_], width: float) -> Tail:
    rest = values[usual]
    knots, counts = np.unique(rest, return_counts=True)
    shares = (np.cumsum(counts) - 0.5 * counts) / len(rest)
    share = tail_share(len(values))
    start = float(np.interp(1 - share, shares, knots))
    kept = _thin(shares, counts / len(rest), int(np.clip(len(rest) // _KNOT_POINTS, 1, _KNOTS)))
    excess = rest[rest > start] - start
    runs = len(find_runs((values > start) & usual)[0])
    mean = float(excess.mean()) if len(excess) else 0.0
    scale = (runs * mean + _PRIOR_RUNS * _USUAL_EXCESS * width) / (runs + _PRIOR_RUNS)
    told = expected_runs(len(values))
    shape = _SHAPE + 1 / max(told + _UNSURE, _LEAST_TOLD)
    return Tail(knots[kept], shares[kept], start, share, scale, shape, max(runs, told / 2, 1.0), width)


def _thin(shares: Array, masses: Array, n_knots: int) -> NDArray[np.bool_]:
    """Choose of values, with these shares of points below and these own, about `n_knots` and every jump."""
    depth = shares - _KNOTS_ABOVE * np.log1p(-shares)
    kept = np.diff(np.floor(depth * n_knots), prepend=-1.0) > 0
    jumps = np.flatnonzero(masses >= 1 / n_knots)
    for beside in (-1, 0, 1):
        kept[np.clip(jumps + beside, 0, len(kept) - 1)] = True
    kept[[0, -1]] = True
    return kept


def _low_width(values: Array) -> tuple[float, float]:
    """Return the median and the distance from the 10 % quantile to it, or what is least like it but not 0."""
    low, middle, upper, high = np.quantile(values, [0.1, 0.5, 0.75, 0.9])
    least = 1e-9 * (1 + abs(middle))
    widths = (middle - low, upper - middle, high - middle, values.max() - values.min(), 1.0)
    return float(middle), float(next(width for width in widths if width > least))


def _ascending(scores: Array) -> Array:
    """Move ascending numbers in [0, 1) apart, by the least that there is, where they are equal."""
    # Positive floating-point numbers stand in the order of their bits.
    bits, count = scores.view(np.int64), np.arange(len(scores))
    least = np.maximum.accumulate(bits - count) + count
    below_one = int(np.float64(1.0).view(np.int64)) - len(scores)
    return np.minimum(least, below_one + count).view(np.float64)
