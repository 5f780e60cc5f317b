"""Normal behaviour of one pattern each, with anomalies of every sort: nothing to download.

Two sets of series, made with fixed seeds. Labels are exact: the points that differ from the series without
the anomaly.

`SCENARIOS`
    What is anomalous (a point, a range, one of several variates) by how it was sampled: at every step, with a
    quarter of the readings missing, or at irregular steps, a quarter of which are left out so that the rest
    closes up. After the scenarios of VisualTimeAnomaly (Xu et al., "Can Multimodal LLMs Perform Time Series
    Anomaly Detection?", 2025); the series are not theirs.
`PATTERNS`
    The same anomalies on one pattern of normal behaviour each: a trend, one season, several, memory that is
    short or long, and a season under more and more noise. After the evaluation by patterns of SynTSBench (Tan
    et al., NeurIPS 2025), which is one of forecasts; the series are not theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import BenchmarkSeries

__all__ = ["PATTERNS", "SCENARIOS"]

Values = NDArray[np.float64]
Sets = dict[tuple[str, str], Callable[[], BenchmarkSeries]]

_LENGTH, _TRAIN = 2000, 400  # points, and those of them without an anomaly at the beginning
_PERIOD = 40
_SEVERITY = (0.5, 1.0)  # from plain to gross
_SHARE = 0.15  # of the judged points that are anomalous, at most
_ATTEMPTS = 100  # seeds tried for one series
_MISSING = 0.25

_STEPS = np.arange(_LENGTH)


def _cycles(period: float, harmonics: tuple[float, ...] = (1.0, 0.5, 0.25)) -> Values:
    return np.sum(
        [
            height * np.sin(2 * np.pi * (number + 1) * _STEPS / period + number)
            for number, height in enumerate(harmonics)
        ],
        axis=0,
    )


def _season(rng: np.random.Generator, noise: float) -> Values:
    return _cycles(_PERIOD) + noise * rng.normal(size=_LENGTH)


def _memory(rng: np.random.Generator, strength: float) -> Values:
    """Return an autoregression of the first order, of deviation 1."""
    shocks = rng.normal(size=_LENGTH) * np.sqrt(1 - strength**2)
    return np.asarray(lfilter([1.0], [1.0, -strength], shocks))


_BEHAVIOURS: Mapping[str, Callable[[np.random.Generator], Values]] = MappingProxyType(
    {
        "trend": lambda rng: 4 * _STEPS / _LENGTH + 0.2 * rng.normal(size=_LENGTH),
        "season": partial(_season, noise=0.05),
        "seasons": lambda rng: _season(rng, 0.05) + 1.5 * _cycles(7 * _PERIOD, (1.0, 0.3)),
        "trend-season": lambda rng: 4 * _STEPS / _LENGTH + _season(rng, 0.05),
        "short-memory": partial(_memory, strength=0.5),
        "long-memory": partial(_memory, strength=0.98),
        "season-noise-20": partial(_season, noise=0.2),
        "season-noise-50": partial(_season, noise=0.5),
    }
)
"""Patterns of normal behaviour; noise is in per cent of the first harmonic's height, 5 where not said."""

_GRANULARITIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "point": ("spike", "local_spike", "contextual"),
        "range": ("level_shift", "drift", "wrong_shape", "frequency", "amplitude"),
        "variate": ("broken_correlation", "lag_change", "one_variable"),
    }
)
_SAMPLINGS = ("regular", "missing", "irregular")
_TRIED = ("spike", "local_spike", "level_shift", "variance", "drift", "stuck")
"""Kinds that make sense whatever the pattern; those of cycles are added where there are some."""
_OF_CYCLES = ("frequency", "wrong_shape", "missing_cycle")


def _variates(rng: np.random.Generator) -> Values:
    """Return four variables (T, 4) that follow the same cycles, each late and loud in its own way."""
    common = _season(rng, 0.0) + 0.5 * _memory(rng, 0.9)
    columns = [gain * np.roll(common, lag) for gain, lag in ((1.0, 0), (0.7, 2), (-1.2, 0), (0.9, 5))]
    return np.stack(columns, axis=1) + 0.1 * rng.normal(size=(_LENGTH, 4))


def _spoil(
    behave: Callable[[np.random.Generator], Values], kind: str, place: tuple[int, ...]
) -> tuple[Values, NDArray[np.int8], np.random.Generator]:
    """Return values (T, C) and labels (T,) of the first seed on which the anomaly is seen once."""
    from vetime_plugins.synthesis import inject

    for attempt in range(_ATTEMPTS):
        rng = np.random.default_rng(np.random.SeedSequence(1, spawn_key=(*place, attempt)))
        clean = behave(rng).reshape(_LENGTH, -1)
        try:
            spoilt = inject(
                clean[_TRAIN:],
                kind,
                n=1,
                density=_SHARE,
                severity=_SEVERITY,
                period=_PERIOD,
                seed=attempt,
            )
        except InputError:  # the anomaly would not be seen on this one
            continue
        if len(spoilt.kinds) == 1 and spoilt.labels.mean() <= _SHARE:
            values = np.concatenate((clean[:_TRAIN], spoilt.values.reshape(_LENGTH - _TRAIN, -1)))
            labels = np.concatenate((np.zeros(_TRAIN, np.int8), spoilt.labels.astype(np.int8)))
            return values.astype(np.float64), labels, rng
    raise InputError(f"no series with {kind} could be made")


def _scenario(granularity: str, sampling: str, kind: str, number: int) -> BenchmarkSeries:
    place = 0, list(_GRANULARITIES).index(granularity), _GRANULARITIES[granularity].index(kind), number
    behave = _variates if granularity == "variate" else _BEHAVIOURS["season"]
    values, labels, rng = _spoil(behave, kind, place)
    train = _TRAIN
    if sampling != "regular":
        # An anomaly of a point is not among what is lost: nobody could find it.
        lost = (rng.random(_LENGTH) < _MISSING) & ~((granularity == "point") & (labels == 1))
        if sampling == "missing":
            values[lost] = np.nan
        else:
            values, labels, train = values[~lost], labels[~lost], int((~lost[:_TRAIN]).sum())
    name = f"{granularity}-{sampling}"
    return BenchmarkSeries(f"{kind}.{sampling}.{number}", name, values, labels, train, kind)


def _pattern(pattern: str, kind: str) -> BenchmarkSeries:
    place = 1, list(_BEHAVIOURS).index(pattern), (*_TRIED, *_OF_CYCLES).index(kind)
    values, labels, _ = _spoil(_BEHAVIOURS[pattern], kind, place)
    return BenchmarkSeries(f"{kind}.{pattern}", pattern, values, labels, _TRAIN, kind)


SCENARIOS: Sets = {
    (f"{granularity}-{sampling}", f"{kind}.{sampling}.{number}"): partial(
        _scenario, granularity, sampling, kind, number
    )
    for granularity, kinds in _GRANULARITIES.items()
    for sampling in _SAMPLINGS
    for kind in kinds
    for number in range(2)
}
"""Data set (granularity and sampling) and name of each series, with the function that makes it."""

PATTERNS: Sets = {
    (pattern, f"{kind}.{pattern}"): partial(_pattern, pattern, kind)
    for pattern in _BEHAVIOURS
    for kind in (*_TRIED, *(_OF_CYCLES if "season" in pattern else ()))
}
"""Data set (the pattern of normal behaviour) and name of each series, with the function that makes it."""
