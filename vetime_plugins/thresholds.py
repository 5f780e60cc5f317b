"""From scores to a threshold: the five rules that every adapter offers under the parameter ``threshold``.

A point is anomalous when its score is strictly greater than the threshold, so a series of equal scores has no
anomaly under any of the data-driven rules.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vetime_plugins._arguments import as_plain, is_real
from vetime_plugins.errors import InputError
from vetime_plugins.series.scale import (
    RISK,
    RISK_LASTING,
    expected_runs,
    find_runs,
    fit_tail,
    mark_runs,
    run_peaks,
    stand_out,
    tail_share,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

RULES = ("auto", "quantile", "std", "pot")
"""Names of the data-driven rules; a number is the fifth rule, a fixed threshold."""

_CONTAMINATION = 0.1

# Chosen on draws of 50 to 3,000 exponential, normal and beta scores: from fewer peaks than the second number,
# the estimate of the shape scatters more than the exponential is wrong where the true shape is another.
_PEAKS_WANTED = 30
_PEAKS_FOR_SHAPE = 50
_LOWEST_LEVEL = 0.8

_CLOSE = 0.92
"""How far ``"auto"`` goes from its lower level towards the peak of the weakest incident: the windows behind a
score raise it beside an incident as well, and only near the peak are most points anomalous themselves."""
_USUAL = 2 / 3
"""Share of the scores that ``"auto"`` never flags."""


def find_threshold(
    scores: ArrayLike,
    rule: str | float = "quantile",
    *,
    contamination: float = _CONTAMINATION,
    risk: float = 1e-4,
    level: float = 0.98,
) -> float:
    """Return the score above which a point counts as anomalous.

    Parameters
    ----------
    scores : array-like of shape (n,)
        Anomaly scores, finite, higher = more anomalous; usually those of the data a detector was fitted on.
    rule : {"auto", "quantile", "std", "pot"} or float, default "quantile"
        * ``"auto"``: quiet where nothing happened. In 19 of 20 calm series of 2,000 points no point is
          flagged; where something stands out, the threshold lies just below the peak of the weakest incident.
          The scores need to be in the order of time.
        * ``"quantile"``: the ``1 - contamination`` quantile, so that this share of `scores` is flagged.
        * ``"std"``: mean plus three (population) standard deviations; of scores that are tail probabilities
          (the scale "tail"), those of the normal variates that they belong to: about 0.9987.
        * ``"pot"``: peaks over threshold. The excesses over a high quantile follow a generalized Pareto
          distribution; the threshold is the score that a normal point exceeds with probability `risk`.
          Runs of scores that stand out are left out of the fit, up to a third of all; the scores need to be
          in the order of time.
        * a number: that threshold, whatever the scores are.
    contamination : float in (0, 0.5], default 0.1
        Share of anomalous points expected in `scores`. Used by ``"quantile"`` alone.
    risk : float in (0, 1), default 1e-4
        Probability that a normal point exceeds the threshold. Used by ``"pot"`` alone.
    level : float in [0.8, 1), default 0.98
        Quantile over which a score is a peak. Used by ``"pot"`` alone, which lowers it, to 0.8 at the lowest,
        where fewer than 30 scores lie above.

    Returns
    -------
    float
        The threshold, always finite. Scores that are all equal give that score: no point is greater.

    Raises
    ------
    InputError
        If `scores` is empty, not one-dimensional, not numeric or not finite, or an option is outside its
        range.

    Warns
    -----
    UserWarning
        If the threshold of ``"std"`` or ``"pot"`` lies above every score, so that nothing is flagged; if
        `contamination` is given with ``"auto"``, which does not use it.

    Notes
    -----
    ``"auto"`` takes scores of the scale "tail" (see `vetime_plugins.series.scale`), which are uniform where
    nothing happens, for what they are, and fits a tail to all others. For data to come, fit it on calm data
    or give a number: a threshold below the peak of an incident passes over weaker ones.

    ``"pot"`` is the batch form of A. Siffer, P.-A. Fouque, A. Termier, C. Largouet, "Anomaly Detection in
    Streams with Extreme Value Theory", KDD 2017, section 3. Their formula (1) gives the threshold; the tail
    is fitted by maximum likelihood (`scipy.stats.genpareto`). Where the fit is not trustworthy (fewer than
    50 peaks, no convergence, or a tail without a mean) the tail is taken as exponential, the generalized
    Pareto distribution of shape 0. Where all scores are in [0, 1] and the threshold would not be, the tail
    that ends at 1 is fitted in its place.

    Examples
    --------
    >>> find_threshold([0.1, 0.2, 0.3, 0.4, 0.9], contamination=0.25)
    0.4
    >>> find_threshold([0.1, 0.2, 0.3, 0.4, 0.9], 0.5)
    0.5
    """
    rule = check_rule(rule)
    check_contamination(contamination)
    if isinstance(rule, float):
        return rule
    if rule == "auto" and contamination != _CONTAMINATION:
        warnings.warn(
            f"contamination={contamination:g} is not used by threshold='auto'; to flag that share of the "
            "points, pass threshold='quantile'",
            UserWarning,
            stacklevel=2,
        )
    values = check_scores(scores)
    if values.min() == values.max():  # the mean of equal numbers can round below them: all would be flagged
        return float(values[0])
    if rule == "auto":
        threshold = _automatic(values)
    elif rule == "quantile":
        threshold = float(np.percentile(values, 100 * (1 - contamination)))
    elif rule == "std":
        threshold = _three_deviations(values)
    else:
        threshold = _peaks_over_threshold(values[_Alarm.of(values).usual()], risk, level)
    if not np.isfinite(threshold):
        msg = f"the {rule!r} threshold of these scores overflows (largest: {values.max():.3g}); rescale them"
        raise InputError(msg)
    if rule in ("std", "pot") and threshold >= values.max():
        hint = "anomalies raise the mean and the deviation" if rule == "std" else "no score is that rare"
        warnings.warn(
            f"the {rule!r} threshold {threshold:.6g} is above every score (largest: {values.max():.6g}), so "
            f"nothing is flagged: {hint}; use threshold='auto' or a number",
            UserWarning,
            stacklevel=2,
        )
    return threshold


def check_rule(rule: object) -> str | float:
    """Return `rule` as one of `RULES` or as a finite float.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(rule, str) and rule in RULES:
        return rule
    if is_real(rule) and math.isfinite(rule):
        return float(rule)
    names = ", ".join(repr(name) for name in RULES)
    msg = f"threshold must be one of {names} or a finite number (a fixed score), got {rule!r}"
    raise InputError(msg)


def check_contamination(contamination: object) -> None:
    """Check that `contamination` is a number in (0, 0.5].

    Raises
    ------
    InputError
        If it is not.
    """
    if is_real(contamination) and 0 < contamination <= 0.5:
        return
    msg = f"contamination must be in (0, 0.5] (the expected share of anomalous points), got {contamination!r}"
    raise InputError(msg)


def check_scores(scores: ArrayLike, *, least: int = 1) -> NDArray[np.float64]:
    """Return `scores` as finite numbers (n,), `least` or more.

    Raises
    ------
    InputError
        If they are none.
    """
    try:
        array = np.asarray(as_plain(scores))
        if array.dtype.kind == "c":
            raise TypeError("complex numbers have no order")
        values = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        msg = f"scores must be numbers, one for each point: {error}"
        raise InputError(msg) from None
    if values.ndim != 1 or values.size < least:
        msg = f"scores must have shape (n,) with n >= {least}, got shape {values.shape}"
        raise InputError(msg)
    bad = np.flatnonzero(~np.isfinite(values))
    if bad.size:
        msg = f"scores must be finite, but {bad.size} of {values.size} are not (first at position {bad[0]})"
        raise InputError(msg)
    return values


def _automatic(values: NDArray[np.float64]) -> float:
    """Return the threshold that no calm point passes, just below the peak of the weakest incident."""
    found = _Alarm.of(values)
    runs = find_runs(found.evidence > found.floor)
    incidents = stand_out(found.evidence, runs, found.level, found.lasting)
    weakest = run_peaks(found.evidence, runs)[incidents].min(initial=np.inf)
    if weakest == np.inf:
        return max(found.score, float(values.max()))
    close = found.lasting + _CLOSE * (weakest - found.lasting)
    threshold = float(values[found.evidence <= close].max(initial=values.min()))
    # Where most of the scores stand apart it is no longer known which part is the usual one.
    return max(threshold, float(np.quantile(values, _USUAL)))


def _three_deviations(values: NDArray[np.float64]) -> float:
    """Return mean plus three standard deviations of scores, or of the normal variates of probabilities."""
    if not _are_tail_probabilities(values):
        with np.errstate(over="ignore"):
            return float(values.mean() + 3 * values.std())
    from scipy.special import ndtr, ndtri

    normal = ndtri(values.clip(1e-300))
    return float(ndtr(normal.mean() + 3 * normal.std()))


@dataclass(frozen=True)
class _Alarm:
    """Scores on a scale on which calm tails are exponential, and the levels there that no calm run passes.

    Attributes
    ----------
    evidence : float64 ndarray of shape (n,)
    floor : float
        Where the tail begins, or `lasting` if that is lower.
    level, lasting : float
        For a peak, and for the mean over `LASTING` steps, which is lower.
    score : float
        `level` as a score.
    """

    evidence: NDArray[np.float64]
    floor: float
    level: float
    lasting: float
    score: float

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> _Alarm:
        """Find the level for scores, which need not be all equal."""
        if _are_tail_probabilities(values):
            evidence = -np.log1p(-values)
            start = -math.log(tail_share(len(values)))
            level = math.inf
            for _ in range(2):  # the second time without the incidents
                peaks = run_peaks(evidence, find_runs(evidence > start))
                runs = max(int((peaks <= level).sum()), expected_runs(len(values)) / 2, 1.0)
                level = start + math.log(runs / RISK)
            lasting = start + math.log(runs / RISK_LASTING)
            return cls(evidence, start, level, lasting, -math.expm1(-level))
        within = values.min() >= 0 and values.max() <= 1
        evidence = _log_odds(values) if within else values
        with np.errstate(over="ignore"):
            tail = fit_tail(evidence)
        level = tail.alarm()
        score = level
        if within:
            score = 1 / (1 + math.exp(-level)) if level > -700 else 0.0
        lasting = tail.alarm(RISK_LASTING)
        return cls(evidence, min(tail.start, lasting), level, lasting, score)

    def usual(self) -> NDArray[np.bool_]:
        """Return which scores, (n,), are not those of an incident."""
        return ~mark_runs(self.evidence, self.floor, self.level, self.lasting)


def _are_tail_probabilities(values: NDArray[np.float64]) -> bool:
    """Tell whether scores are of the scale "tail": uniform up to the median, but for the anomalies on top."""
    if values.min() < 0 or values.max() >= 1:
        return False
    at = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    found = np.quantile(values, at)
    stretch = found[-1] / at[-1]
    return bool(0.95 <= stretch <= 1.6 and np.abs(found - stretch * at).max() <= 0.02 + 1 / len(values))


def _log_odds(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log-odds of scores in [0, 1], finite also where these are 0 or 1."""
    inside = values[(values > 0) & (values < 1)]
    kept = values.clip(inside.min(), inside.max()) if len(inside) else np.full_like(values, 0.5)
    edge = (values >= 1).astype(np.float64) - (values <= 0)
    return np.log(kept) - np.log1p(-kept) + edge


def _peaks_over_threshold(values: NDArray[np.float64], risk: float, level: float) -> float:
    """Return the score that a point exceeds with probability `risk`, from the tail above quantile `level`."""
    if not 0 < risk < 1:
        msg = f"risk must be in (0, 1) (the probability that a normal point is flagged), got {risk!r}"
        raise InputError(msg)
    if not _LOWEST_LEVEL <= level < 1:
        msg = f"level must be in [{_LOWEST_LEVEL}, 1) (the quantile where the tail begins), got {level!r}"
        raise InputError(msg)
    level = min(level, max(_LOWEST_LEVEL, 1 - _PEAKS_WANTED / values.size))
    start = float(np.quantile(values, level))
    if start == values.max():  # more than 1 - level of the scores tie at the top: no tail left to extrapolate
        return start
    peaks = values[values > start] - start
    unit = peaks.max()  # relative to the largest peak: the optimiser's steps are absolute
    shape, scale = _fit_tail(peaks / unit)
    ratio = risk * values.size / peaks.size
    if ratio >= 1:  # so large a risk lies below the tail, where the empirical quantile needs no model
        return float(np.quantile(values, 1 - risk))
    with np.errstate(over="ignore"):
        # scale / shape * (ratio**-shape - 1), in a form that keeps its digits near shape 0 (exponential)
        depth = -math.log(ratio)
        reach = scale * depth if shape == 0 else scale / shape * float(np.expm1(shape * depth))
        threshold = start + reach * float(unit)
    if threshold < 1 or values.min() < 0 or values.max() > 1:
        return threshold
    # No score in [0, 1] could exceed this threshold. In the tail that ends at 1 the scale follows from the
    # shape, which has a closed form: the logarithm of what a peak leaves of the room below 1 is exponential.
    room = 1 - start
    with np.errstate(divide="ignore"):
        shape = float(np.log1p(-peaks / room).mean())
    return start - room * float(np.expm1(shape * depth))


def _fit_tail(peaks: NDArray[np.float64]) -> tuple[float, float]:
    """Return shape and scale of the generalized Pareto distribution fitted to positive `peaks` (n,)."""
    exponential = 0.0, float(peaks.mean())
    if peaks.size < _PEAKS_FOR_SHAPE or peaks.min() == peaks.max():
        return exponential
    from scipy.stats import FitError, genpareto  # half a second of import that only this rule needs

    try:
        with np.errstate(all="ignore"):
            shape, _, scale = genpareto.fit(peaks, floc=0)
            likelihood = genpareto.logpdf(peaks, shape, scale=scale).sum()
            gain = likelihood - genpareto.logpdf(peaks, 0, scale=exponential[1]).sum()
    except (FitError, ValueError):
        return exponential
    # Below shape -1 the likelihood is unbounded: at -1 it is largest for the uniform tail that ends at the
    # largest peak. From shape 1 on there is no mean, and a fit worse than the exponential, which is a special
    # case, did not converge.
    if shape <= -1:
        return -1.0, float(peaks.max())
    return (float(shape), float(scale)) if shape < 1 and scale > 0 and gain >= 0 else exponential
