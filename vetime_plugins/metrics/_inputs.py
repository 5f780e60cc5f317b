"""Checks that every metric shares, and the two cases in which no metric is defined."""

from __future__ import annotations

from typing import Any

import numpy as np

from vetime_plugins._arguments import as_plain
from vetime_plugins.errors import InputError

__all__ = ["as_buffer", "as_labels", "as_pair", "explain_undefined"]


def as_labels(labels: Any) -> np.ndarray:
    """Return labels, 0 or 1 of any type, (T,) or (T, 1), as a bool vector (T,), or raise `InputError`."""
    array = _vector(labels, "labels")
    if array.dtype == bool:
        return array
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"labels must hold 0 (normal) and 1 (anomalous), got dtype {array.dtype}; map your labels first"
        ) from error
    other = numbers[(numbers != 0) & (numbers != 1)]
    if other.size:
        raise InputError(
            f"labels must hold 0 (normal) and 1 (anomalous) only, got {other[0]!r} at {other.size} of "
            f"{array.size} points; binarise them first, e.g. `labels > 0`"
        )
    return numbers == 1


def as_pair(labels: Any, scores: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels, bool (T,), and the scores, float64 (T,), of one series, checked against each other.

    Raises
    ------
    InputError
        If either is malformed, the lengths differ, or a score is NaN or infinite.
    """
    truth = as_labels(labels)
    array = _vector(scores, "scores")
    if np.iscomplexobj(array):
        raise InputError("scores must be real numbers, got complex ones; pass e.g. their magnitude")
    try:
        values = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"scores must be numbers, got dtype {array.dtype}") from error
    if values.size != truth.size:
        raise InputError(
            f"labels and scores must describe the same points, got {truth.size} labels and "
            f"{values.size} scores"
        )
    finite = np.isfinite(values)
    if not finite.all():
        raise InputError(
            f"scores must be finite, got {int((~finite).sum())} NaN or infinite value(s), the first at point "
            f"{int(np.argmin(finite))}; a ranking cannot place them, so replace them in the detector"
        )
    return truth, values


def as_buffer(buffer: Any) -> int:
    """Return the buffer, a whole number of points >= 0, as an int, or raise `InputError`."""
    try:
        value = int(buffer)
        whole = value == float(buffer)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"buffer must be a whole number of points >= 0, got {buffer!r}") from error
    if not whole or value < 0:
        raise InputError(f"buffer must be a whole number of points >= 0, got {buffer!r}")
    return value


def explain_undefined(labels: Any) -> str | None:
    """Say in one sentence why no metric is defined for labels (T,), or return None where all of them are.

    A detector can only be measured where there is something to find and something to leave alone. Zero would
    read as "found nothing" and pull averages down, so every metric reports NaN in these two cases.

    Parameters
    ----------
    labels : array-like of shape (T,)

    Returns
    -------
    str or None

    Examples
    --------
    >>> explain_undefined([0, 0, 0])
    'no point of the 3 is labelled anomalous, so there is nothing to detect'
    >>> explain_undefined([0, 1, 0]) is None
    True
    """
    truth = as_labels(labels)
    if not truth.any():
        return f"no point of the {truth.size} is labelled anomalous, so there is nothing to detect"
    if truth.all():
        return f"all {truth.size} points are labelled anomalous, so there is nothing to tell them from"
    return None


def _vector(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(as_plain(values))
    except ValueError as error:  # ragged nested lists
        raise InputError(f"{name} must be one number per point, got lists of unequal length") from error
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise InputError(f"{name} must have the shape (T,), one number per point, got {array.shape}")
    if array.size == 0:
        raise InputError(f"{name} must hold at least one point, got none")
    return array
