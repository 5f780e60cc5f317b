"""CARE: coverage, accuracy, reliability and earliness of alarms over events and normal frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.metrics._inputs import as_labels

__all__ = ["CareScore", "Frame", "care_score", "criticality"]

_WEIGHTS = {"coverage": 1.0, "earliness": 1.0, "reliability": 1.0, "accuracy": 2.0}


@dataclass(frozen=True, eq=False)
class Frame:
    """One time frame of a collection: alarms, and the event that the frame leads up to, if any.

    Parameters
    ----------
    alarms : array-like of shape (T,)
        1 where the detector calls a point anomalous, 0 elsewhere.
    event : tuple of int, optional
        First point and (exclusive) end of the anomalous event; None for a frame of normal behaviour.
    in_operation : array-like of shape (T,), optional
        1 where the machine reported normal operation. Other points are known to be abnormal, so calling them
        so is worth nothing; they are left out of every count. All points where left out.
    weight : float, default 1
        Importance of the event, e.g. the cost of the fault, in the means over events.
    """

    alarms: Any
    event: tuple[int, int] | None = None
    in_operation: Any = None
    weight: float = 1.0


@dataclass(frozen=True)
class CareScore:
    """Result of `care_score`: the score, its four parts, and what was decided for each frame.

    Attributes
    ----------
    score : float
        In [0, 1]; NaN where `reason` is given.
    coverage : float
        Mean point-wise F-beta over the frames with an event.
    accuracy : float
        Mean share of normal points left alone over the frames without one.
    reliability : float
        F-beta over frames: does an alarm mean an event?
    earliness : float
        Mean weighted share of the event that is flagged; its first half counts fully, then ever less.
    detected : tuple of bool
        For each frame whether it counts as an alarm.
    reason : str or None
        Why the score is undefined.
    """

    score: float
    coverage: float
    accuracy: float
    reliability: float
    earliness: float
    detected: tuple[bool, ...]
    reason: str | None = None


def care_score(frames: Sequence[Frame], *, beta: float = 0.5, threshold: int = 72) -> CareScore:
    """Score a detector of early faults on a collection of frames, some of which lead up to a fault.

    Parameters
    ----------
    frames : sequence of Frame
        At least one with an event and one without.
    beta : float, default 0.5
        Weight of recall against precision in coverage and reliability; below 1 a false alarm costs more.
    threshold : int, default 72
        A frame counts as an alarm when its `criticality` reaches this many points; 72 are twelve hours of the
        ten-minute data that the score was made for, so choose it for the spacing of your own data.

    Returns
    -------
    CareScore

    Raises
    ------
    InputError
        If a frame is malformed, or has no point in normal operation to be judged by.

    Notes
    -----
    Gück et al., "CARE to Compare: A Real-World Benchmark Dataset for Early Fault Detection in Wind Turbine
    Data" (Data 9(12), 2024), equations 1 to 5. The score is the mean of coverage, earliness, reliability
    and, with double weight, accuracy; 0 where no frame counts as an alarm; and the accuracy alone where
    that is below one half, i.e. worse than tossing a coin.

    Examples
    --------
    >>> good = Frame(alarms=[0, 0, 1, 1, 1, 1], event=(2, 6))
    >>> quiet = Frame(alarms=[0, 0, 0, 0, 0, 0])
    >>> care_score([good, quiet], threshold=3).score
    1.0
    """
    if not (beta > 0 and np.isfinite(beta)):
        raise InputError(f"beta must be a positive number, got {beta!r}")
    if not frames:
        raise InputError("care_score needs at least one frame, got none")
    coverage, earliness, accuracy, weights = [], [], [], []
    detected = []
    for index, frame in enumerate(frames):
        alarms, operating, event = _check(frame, index)
        detected.append(int(criticality(alarms, operating).max()) >= threshold)
        if event is None:
            accuracy.append(float(np.mean(~alarms[operating])))
        else:
            truth = np.zeros(alarms.size, dtype=bool)
            truth[event] = True
            coverage.append(_f_beta(truth[operating], alarms[operating], beta))
            earliness.append(_early_share(alarms[event]))
            weights.append(frame.weight)

    actual = np.array([frame.event is not None for frame in frames])
    parts = {
        "coverage": _mean(coverage, weights),
        "earliness": _mean(earliness, weights),
        "reliability": _f_beta(actual, np.array(detected), beta),
        "accuracy": _mean(accuracy, [1.0] * len(accuracy)),
    }
    reason = None
    if not coverage or not accuracy:
        kind = "an event" if not coverage else "normal behaviour only"
        reason = f"none of the {len(frames)} frames holds {kind}; CARE weighs one kind against the other"
        score = float("nan")
    elif not any(detected):
        score = 0.0
    elif parts["accuracy"] < 0.5:
        score = parts["accuracy"]
    else:
        score = sum(_WEIGHTS[name] * value for name, value in parts.items()) / sum(_WEIGHTS.values())
    return CareScore(score=score, detected=tuple(detected), reason=reason, **parts)


def criticality(alarms: Any, in_operation: Any = None) -> np.ndarray:
    """Count alarms up and quiet points down, never below zero.

    Parameters
    ----------
    alarms : array-like of shape (T,)
        1 where the detector calls a point anomalous.
    in_operation : array-like of shape (T,), optional
        Points with 0 leave the count as it is.

    Returns
    -------
    numpy.ndarray of int64, shape (T,)

    Raises
    ------
    InputError
        If the input is malformed.

    Notes
    -----
    Algorithm 1 of the CARE paper. A walk that is reflected at zero is the free walk minus its running
    minimum.

    Examples
    --------
    >>> criticality([1, 1, 0, 0, 0, 1]).tolist()
    [1, 2, 1, 0, 0, 1]
    """
    flags = as_labels(alarms)
    steps = np.where(flags, 1, -1)
    if in_operation is not None:
        operating = as_labels(in_operation)
        if operating.size != flags.size:
            raise InputError(f"in_operation must match the {flags.size} alarms, got {operating.size} values")
        steps = np.where(operating, steps, 0)
    walk = np.cumsum(steps)
    return walk - np.minimum(np.minimum.accumulate(walk), 0)


def _check(frame: Frame, index: int) -> tuple[np.ndarray, np.ndarray, slice | None]:
    try:
        alarms = as_labels(frame.alarms)
        operating = as_labels(np.ones_like(alarms) if frame.in_operation is None else frame.in_operation)
    except InputError as error:
        raise InputError(f"frame {index}: {error}") from error
    if operating.size != alarms.size:
        raise InputError(
            f"frame {index}: in_operation must match the {alarms.size} alarms, got {operating.size} values"
        )
    if frame.event is None:
        judged, event = operating, None
    else:
        start, stop = (int(border) for border in frame.event)
        if not 0 <= start < stop <= alarms.size:
            raise InputError(f"frame {index}: event must lie in the {alarms.size} points, got {frame.event}")
        if not (np.isfinite(frame.weight) and frame.weight > 0):
            raise InputError(f"frame {index}: weight must be a positive number, got {frame.weight!r}")
        event = slice(start, stop)
        judged = operating[event]
    if not judged.any():
        raise InputError(
            f"frame {index} has no point in normal operation to be judged by; leave the frame out"
        )
    return alarms, operating, event


def _f_beta(truth: np.ndarray, predicted: np.ndarray, beta: float) -> float:
    true = np.sum(truth & predicted)
    denominator = (1 + beta**2) * true + beta**2 * np.sum(truth & ~predicted) + np.sum(~truth & predicted)
    return float((1 + beta**2) * true / denominator) if denominator else 0.0


def _early_share(alarms: np.ndarray) -> float:
    position = np.linspace(0, 1, alarms.size)
    weight = np.minimum(1, 2 * (1 - position))
    return float(np.sum(weight * alarms) / np.sum(weight))


def _mean(values: list[float], weights: list[float]) -> float:
    return float(np.average(values, weights=weights)) if values else float("nan")
