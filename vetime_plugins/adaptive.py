"""Thresholds that follow a stream of scores: a rolling quantile, and peaks over threshold with drift.

Both take scores one after the other, in constant memory and the time of a few comparisons, are deterministic
and can be pickled or stored as plain numbers at any point. A threshold is set by earlier scores alone.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins._arguments import check_whole, is_real
from vetime_plugins.errors import InputError
from vetime_plugins.thresholds import check_scores

__all__ = ["ADAPTIVE", "AdaptiveThreshold", "DriftThreshold", "RollingThreshold", "make_threshold"]


_ROUNDING = 1e-9
_MOST_ABOVE = 0.1  # how far above the threshold, from the median, the first score of an alarm counts
_LOWEST = 1e-6  # closer to 0 or 1 than this, scores count as equal
_PEAKS_FOR_SHAPE = 50  # from fewer the shape scatters too much: the tail is taken as exponential


@dataclass
class AdaptiveThreshold:
    """What adaptive thresholds share.

    Parameters
    ----------
    warm_up : int, default 500
        Scores that are only learned from. Until then the threshold is infinite and nothing is flagged.
    patience : int, default 200
        A score above the threshold is not learned from, or an anomaly would hide the next one. After so many
        in a row it is no anomaly any more but how things are now, and is learned from.
    bounded : bool, default True
        Scores are in [0, 1], as those of VETime are, and are compared by their log odds, where a tail has
        room; in [0, 1] a threshold is soon above every score. False: scores of any size, as they are.
    """

    warm_up: int = 500
    patience: int = 200
    bounded: bool = True

    name: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_whole("warm_up", self.warm_up, least=10, meaning="scores before the first threshold")
        check_whole("patience", self.patience, meaning="scores above the threshold in a row")
        self._n = 0  # scores that were learned from
        self._above = 0  # scores above the threshold in a row
        self._threshold = math.inf  # as scores are compared

    @property
    def threshold(self) -> float:
        """Threshold for the next score; infinite during the warm-up."""
        if math.isinf(self._threshold):
            return math.inf
        limit = self._threshold + _ROUNDING * (1 + abs(self._threshold))  # equal scores are no anomalies
        return 1 / (1 + math.exp(-limit)) if self.bounded else limit

    def update(self, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Judge the next scores, one after the other.

        Parameters
        ----------
        scores : array-like of shape (n,)
            Finite, higher is more anomalous; in [0, 1] if `bounded`.

        Returns
        -------
        thresholds : float64 ndarray of shape (n,)
            Each as it was before its score came.
        anomalies : bool ndarray of shape (n,)
            Where a score is greater than its threshold.

        Raises
        ------
        InputError
            If `scores` are not finite numbers in one dimension, or outside [0, 1] though `bounded`. Nothing
            is learned then.
        """
        values = check_scores(scores, least=0)
        if self.bounded and len(values) and not 0 <= values.min() <= values.max() <= 1:
            raise InputError(
                f"scores must be in [0, 1], got {values.min():.3g} to {values.max():.3g}; of other scores "
                "pass bounded=False"
            )
        thresholds, anomalies = np.empty(len(values)), np.zeros(len(values), dtype=bool)
        for i, score in enumerate(values.tolist()):
            thresholds[i] = self.threshold
            anomalies[i] = score > thresholds[i]
            self._above = self._above + 1 if anomalies[i] else 0
            if self._above == 0 or self._above > self.patience:
                self._n += 1
                self._learn(_log_odds(score) if self.bounded else score)
            elif self._above == 1:
                self._learn_of_alarm(_log_odds(score) if self.bounded else score)
        return thresholds, anomalies

    def _learn(self, score: float) -> None:
        """Take a score in and set the threshold for the next one."""
        raise NotImplementedError

    def _learn_of_alarm(self, score: float) -> None:
        """Take in that a score was above the threshold, of a run of such scores the first."""

    def state_dict(self) -> dict[str, Any]:
        """Return settings and memory as plain numbers, strings and lists, ready for `json.dumps`."""
        memory = {key: value for key, value in vars(self).items() if key not in asdict(self)}
        plain = {key: list(value) if isinstance(value, deque) else value for key, value in memory.items()}
        plain["_threshold"] = None if math.isinf(self._threshold) else self._threshold  # not in JSON
        return {"name": self.name, "settings": asdict(self), "memory": plain}

    @staticmethod
    def from_state_dict(state: Mapping[str, Any]) -> AdaptiveThreshold:
        """Return the threshold that gave `state`, at the point where it stood.

        Raises
        ------
        InputError
            If `state` does not come from `state_dict`.
        """
        try:
            found = ADAPTIVE[state["name"]](**state["settings"])
            memory = dict(state["memory"])
            if memory.keys() != {key for key in vars(found) if key not in asdict(found)}:
                raise KeyError("memory")
            for key, value in memory.items():
                old = getattr(found, key)
                if key != "_threshold":
                    setattr(found, key, _like(old, value))
            limit = memory["_threshold"]
            found._threshold = math.inf if limit is None else _like(0.0, limit)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"not the state of an adaptive threshold: {type(error).__name__}: {error}"
            ) from error
        return found

    def fresh(self) -> Self:
        """Return a threshold of the same settings that has seen nothing."""
        return type(self)(**{one.name: getattr(self, one.name) for one in fields(self)})


@dataclass
class RollingThreshold(AdaptiveThreshold):
    """A quantile of the latest scores, moved away from their median.

    Parameters
    ----------
    warm_up, patience, bounded
        See `AdaptiveThreshold`.
    window : int, default 2000
        Scores that are kept.
    quantile : float in [0.5, 1], default 0.999
        Of the kept scores.
    stretch : float >= 1, default 1.0
        The threshold is the median plus `stretch` times the distance from the median to the quantile. With 1
        it is the quantile itself, which one in ``1 / (1 - quantile)`` calm scores exceeds by its meaning.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins.adaptive import RollingThreshold
    >>> scores = np.random.default_rng(0).random(1000) / 10
    >>> scores[900] = 0.8
    >>> thresholds, anomalies = RollingThreshold(warm_up=200, stretch=2.0).update(scores)
    >>> np.flatnonzero(anomalies).tolist()
    [900]
    """

    window: int = 2000
    quantile: float = 0.999
    stretch: float = 1.0

    name: ClassVar[str] = "rolling"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("window", self.window, least=10, meaning="scores that are kept")
        if not (is_real(self.quantile) and 0.5 <= self.quantile <= 1):
            raise InputError(f"quantile must be in [0.5, 1], got {self.quantile!r}")
        if not (is_real(self.stretch) and 1 <= self.stretch < math.inf):
            raise InputError(f"stretch must be a number of at least 1, got {self.stretch!r}")
        self._latest: deque[float] = deque()
        self._ordered: list[float] = []

    def _learn(self, score: float) -> None:
        if len(self._latest) == self.window:
            del self._ordered[bisect_left(self._ordered, self._latest.popleft())]
        self._latest.append(score)
        insort(self._ordered, score)
        if self._n >= self.warm_up:
            middle = self._at(0.5)
            self._threshold = middle + self.stretch * (self._at(self.quantile) - middle)

    def _learn_of_alarm(self, score: float) -> None:
        # Without them the quantile could only fall; as they are, anomalies would lift it above each other.
        self._n += 1
        self._learn(min(score, self._threshold + _MOST_ABOVE * (self._threshold - self._at(0.5))))

    def _at(self, quantile: float) -> float:
        """Return a quantile of the kept scores, between two of them by linear interpolation."""
        place = quantile * (len(self._ordered) - 1)
        low = int(place)
        high = min(low + 1, len(self._ordered) - 1)
        return self._ordered[low] + (place - low) * (self._ordered[high] - self._ordered[low])


@dataclass
class DriftThreshold(AdaptiveThreshold):
    """Peaks over threshold of what scores have above their moving average: DSPOT.

    Parameters
    ----------
    warm_up : int, default 1000
        As for `AdaptiveThreshold`; above `depth`.
    patience, bounded
        See `AdaptiveThreshold`.
    risk : float in (0, 0.5), default 1e-3
        Probability that a calm score exceeds the threshold.
    level : float in [0.8, 1), default 0.98
        Quantile of the warm-up over which a score is a peak.
    depth : int, default 100
        Scores that the moving average is taken over.
    max_peaks : int, default 300
        The tail is fitted to so many of the latest peaks.

    Notes
    -----
    A. Siffer, P.-A. Fouque, A. Termier, C. Largouet, "Anomaly Detection in Streams with Extreme Value
    Theory", KDD 2017, algorithm 3. It differs in four ways: only the latest peaks are kept, so memory is
    bounded and old ones are forgotten; the generalized Pareto tail is fitted by probability-weighted moments
    (J. R. M. Hosking, J. R. Wallis, Technometrics 29, 1987), which have a closed form, so that every new
    peak costs the same; the first score of an alarm counts as a peak that reaches the threshold, since a tail
    without them would be cut off; and `patience` lets a stream out of an alarm that does not end.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins.adaptive import DriftThreshold
    >>> rng = np.random.default_rng(0)
    >>> scores = np.linspace(0.1, 0.4, 3000) + 0.01 * rng.normal(size=3000)
    >>> scores[1500] += 0.1
    >>> thresholds, anomalies = DriftThreshold().update(scores)
    >>> np.flatnonzero(anomalies).tolist()
    [1500]
    """

    warm_up: int = 1000
    risk: float = 1e-3
    level: float = 0.98
    depth: int = 100
    max_peaks: int = 300

    name: ClassVar[str] = "dspot"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("depth", self.depth, meaning="scores of the moving average")
        check_whole("max_peaks", self.max_peaks, least=10, meaning="peaks that are kept")
        if not (is_real(self.risk) and 0 < self.risk < 0.5):
            raise InputError(f"risk must be in (0, 0.5), got {self.risk!r}")
        if not (is_real(self.level) and 0.8 <= self.level < 1):
            raise InputError(f"level must be in [0.8, 1), got {self.level!r}")
        if self.warm_up <= self.depth:
            raise InputError(f"warm_up must exceed depth ({self.depth}), got {self.warm_up}")
        self._past: deque[float] = deque(maxlen=self.depth)
        self._first: list[float] = []  # scores above the average, until the warm-up ends
        self._start = 0.0  # above the average, from where on a score is a peak
        self._reach = 0.0  # above the average, from where on it is an anomaly
        self._peaks: deque[float] = deque(maxlen=self.max_peaks)
        self._when: deque[int] = deque(maxlen=self.max_peaks)  # after how many scores each peak came
        self._since = 0  # after how many scores counting began

    def _learn(self, score: float) -> None:
        full = len(self._past) == self.depth
        above = score - math.fsum(self._past) / self.depth if full else 0.0
        self._past.append(score)
        if not full:
            return
        if self._n < self.warm_up:
            self._first.append(above)
            return
        if self._n == self.warm_up:
            self._first.append(above)
            self._begin()
        elif above > self._start:
            self._add_peak(above - self._start, self._n)
            self._fit()
        self._threshold = math.fsum(self._past) / self.depth + self._reach

    def _learn_of_alarm(self, score: float) -> None:
        # Without them the tail would end at the threshold, which would come down and down.
        self._n += 1
        self._add_peak(self._reach - self._start, self._n)
        self._fit()
        self._threshold = math.fsum(self._past) / self.depth + self._reach

    def _begin(self) -> None:
        """Set the start of the tail and fit it to the warm-up."""
        self._start = float(np.quantile(self._first, self.level))
        self._since = self._n - len(self._first)
        for i, above in enumerate(self._first):
            if above > self._start:
                self._add_peak(above - self._start, self._since + i + 1)
        self._first = []
        self._fit()

    def _add_peak(self, peak: float, when: int) -> None:
        if len(self._when) == self.max_peaks:
            self._since = self._when[0]  # its peak is about to be dropped
        self._peaks.append(peak)
        self._when.append(when)

    def _fit(self) -> None:
        """Set what a calm score exceeds with probability `risk`, after equation (1) of the paper."""
        if not self._peaks:  # the warm-up ends in a plateau
            self._reach = self._start
            return
        ratio = self.risk * (self._n - self._since) / len(self._peaks)
        shape, scale = _tail(np.sort(self._peaks))
        depth = -math.log(ratio) if ratio < 1 else 0.0
        self._reach = self._start + (
            scale * depth if shape == 0 else scale / shape * math.expm1(shape * depth)
        )


def _like(old: Any, value: Any) -> Any:
    """Return a stored value as the kind that it was; a `TypeError` or `ValueError` if it is another."""
    if isinstance(old, (deque, list)):
        if not isinstance(value, (deque, list)) or not all(is_real(one) for one in value):
            raise TypeError(f"no list of numbers: {str(value)[:40]}")
        return deque(value, old.maxlen) if isinstance(old, deque) else list(value)
    if not is_real(value) or not math.isfinite(value) or (isinstance(old, int) and value != int(value)):
        raise ValueError(f"no such number: {str(value)[:40]}")
    return int(value) if isinstance(old, int) else float(value)


def _log_odds(score: float) -> float:
    clipped = min(max(score, _LOWEST), 1 - _LOWEST)
    return math.log(clipped / (1 - clipped))


def _tail(peaks: NDArray[np.float64]) -> tuple[float, float]:
    """Return shape and scale of the generalized Pareto distribution of sorted peaks, by their moments.

    Shapes are kept to [-0.5, 0.5], where the estimate is sound.
    """
    mean = float(peaks.mean())
    n = len(peaks)
    weighted = float(np.mean((n - np.arange(1, n + 1) + 0.35) / n * peaks))
    if n < _PEAKS_FOR_SHAPE or mean <= 2 * weighted:
        return 0.0, mean
    shape = min(max(2 - mean / (mean - 2 * weighted), -0.5), 0.5)
    return shape, mean * (1 - shape)


ADAPTIVE: dict[str, type[AdaptiveThreshold]] = {one.name: one for one in (RollingThreshold, DriftThreshold)}
"""Adaptive thresholds by name."""


def make_threshold(rule: str | AdaptiveThreshold) -> AdaptiveThreshold:
    """Return an adaptive threshold that has seen nothing: of a name, or with the settings of another one.

    Parameters
    ----------
    rule : {"rolling", "dspot"} or AdaptiveThreshold

    Returns
    -------
    AdaptiveThreshold

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(rule, AdaptiveThreshold):
        return rule.fresh()
    if isinstance(rule, str) and rule in ADAPTIVE:
        return ADAPTIVE[rule]()
    names = ", ".join(repr(name) for name in ADAPTIVE)
    raise InputError(
        f"threshold must be one of {names} or an object of vetime_plugins.adaptive, got {rule!r}"
    )
