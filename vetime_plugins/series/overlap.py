"""Which part of a reference is not the series itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.series.inputs import Series

_SHORTEST = 16
"""Rows that must agree: the shortest window that is ever compared; fewer cannot give it a perfect match."""
_PROBES = 20

Keys = NDArray[np.uint64]


class Beside(NamedTuple):
    """A reference, and the stretches of it that the series does not hold itself."""

    reference: Series
    parts: list[slice]


def find_beside(series: Series, references: Sequence[Series]) -> list[Beside]:
    """Return what references hold beside the series; what holds nothing more is left out."""
    found = [Beside(one, new_parts(series, one)) for one in references]
    return [one for one in found if one.parts]


def new_parts(series: Series, reference: Series) -> list[slice]:
    """Return the stretches of a reference that the series, of as many variables, does not hold itself.

    A stretch of the series that stands in its reference too has a perfect match there, be it normal or not.
    Looked for are the reference within the series, the series within the reference, and the end of one that
    is the beginning of the other, row for row, gaps included. Linear in the lengths but for rows that repeat.
    The stretches are in time order; there are none if the reference tells nothing new.
    """
    own, other = _keys(series), _keys(reference)
    if _find(own, other) is not None:
        return []
    parts = [slice(0, len(other))]
    if len(own) >= _SHORTEST:
        at = _find(other, own)
        if at is not None:
            parts = [slice(0, at), slice(at + len(own), len(other))]
        elif (overlap := _overlap(other, own)) >= _SHORTEST:
            parts = [slice(0, len(other) - overlap)]
        elif (overlap := _overlap(own, other)) >= _SHORTEST:
            parts = [slice(overlap, len(other))]
    return [part for part in parts if part.start < part.stop]


def _keys(series: Series) -> Keys:
    """Return one number a row: rows are equal, gaps included, where these are."""
    rows = np.where(series.observed, series.values + 0.0, np.nan)  # + 0.0: minus zero is zero
    bits = np.ascontiguousarray(rows).view(np.uint64)
    if bits.shape[1] == 1:
        return bits[:, 0]
    factors = np.random.default_rng(0).integers(1, 2**63, bits.shape[1], dtype=np.uint64) * 2 + 1
    return np.bitwise_xor(bits, bits >> np.uint64(29)) @ factors


def _find(long: Keys, short: Keys) -> int | None:
    """Return where `short` first stands in `long`."""
    if len(short) > len(long):
        return None
    text, word, at = long.tobytes(), short.tobytes(), 0
    while (at := text.find(word, at)) >= 0:
        if at % 8 == 0:
            return at // 8
        at += 1
    return None


def _overlap(first: Keys, second: Keys) -> int:
    """Return the length of the longest end of `first` that is the beginning of `second`."""
    starts = np.arange(max(0, len(first) - len(second)), len(first))
    # Probes at growing distances leave few candidates to compare in full.
    for probe in [0, *(2**i for i in range(_PROBES)), *(3 * 2**i for i in range(_PROBES))]:
        at = starts + probe
        inside = at < len(first)
        if probe >= len(second) or not inside.any():
            continue
        starts = starts[~inside | (first[np.minimum(at, len(first) - 1)] == second[probe])]
    for start in starts.tolist():
        if np.array_equal(first[start:], second[: len(first) - start]):
            return len(first) - start
    return 0
