"""Nested predictions: what lets every metric look at all thresholds at once.

Lowering a threshold only ever adds predicted points. A point is therefore described completely by its
*level*, the index of the first (highest) threshold that predicts it, and every sum over predicted points at
every threshold is one histogram over levels followed by a cumulative sum. Runs of consecutive predicted
points live from the level that completes them to the level that merges them into a longer one; there are at
most as many of them as points, over all thresholds together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = [
    "Runs",
    "accumulate",
    "assign_levels",
    "expand_segments",
    "find_runs",
    "find_segments",
    "first_hits",
    "lowest_alive",
]


class Runs(NamedTuple):
    """Every maximal run of predicted points at any level, each array of shape (n_runs,).

    A run covers the points ``start`` to ``stop - 1`` and is maximal at the levels ``born`` to ``dies - 1``.
    """

    start: np.ndarray
    stop: np.ndarray
    born: np.ndarray
    dies: np.ndarray


def find_segments(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and (exclusive) stops of the runs of True in a (T,) mask."""
    edges = np.diff(np.concatenate(([0], mask.view(np.int8), [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def expand_segments(starts: np.ndarray, stops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return, for every point of the intervals ``[start, stop)``, the number of its interval, and itself."""
    sizes = np.maximum(stops - starts, 0)
    owner = np.repeat(np.arange(starts.size), sizes)
    return owner, np.arange(owner.size) - (np.cumsum(sizes) - sizes)[owner] + starts[owner]


def assign_levels(scores: np.ndarray, thresholds: np.ndarray, *, strict: bool) -> np.ndarray:
    """Return for each score (T,) the index of the first threshold that predicts it, K if none does.

    The thresholds (K,) fall. Predicted is ``score > threshold`` if `strict`, else ``score >= threshold``.
    """
    return np.searchsorted(-thresholds, -scores, side="right" if strict else "left")


def first_hits(level: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Return the lowest level within each segment ``[start, stop)``, (n_segments,)."""
    padded = np.append(level, np.iinfo(level.dtype).max)  # reduceat wants a valid index at the end
    return np.minimum.reduceat(padded, np.column_stack((starts, stops)).ravel())[::2]


def accumulate(
    born: np.ndarray, n_levels: int, weights: np.ndarray | None = None, dies: np.ndarray | None = None
) -> np.ndarray:
    """Return, for every level, the sum of the weights (1 where left out) of what is alive there, (K,).

    Each of N items counts from the level `born` to the level before `dies`, without `dies` for ever.
    """
    total = np.bincount(born, weights, n_levels + 1)[:n_levels].astype(np.float64)
    if dies is not None:
        total -= np.bincount(dies, weights, n_levels + 1)[:n_levels]
    return np.cumsum(total)


def find_runs(level: np.ndarray, n_levels: int) -> Runs:
    """Return every run of consecutive points that is maximal at some level.

    Levels (T,) of `n_levels` and more mean "never predicted". One pass with a stack of rising left borders:
    when a point of a higher level arrives, every run that it will only join later is complete. Points of
    equal level are merged first, which leaves a few hundred steps of a smooth score.
    """
    inner = np.flatnonzero(np.diff(level)) + 1
    borders = np.concatenate(([0], inner, [level.size]))
    values = np.minimum(level[borders[:-1]], n_levels).tolist()
    borders = borders.tolist()

    rows: list[tuple[int, int, int, int]] = []
    stack: list[tuple[int, int]] = []  # (level, start), levels strictly falling
    for index, value in enumerate([*values, n_levels]):
        start = stop = borders[index]
        while stack and stack[-1][0] < value:
            born, start = stack.pop()
            dies = min(value, stack[-1][0]) if stack else value
            rows.append((start, stop, born, dies))
        if not stack or stack[-1][0] > value:
            stack.append((value, start))
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    return Runs(*table.T)


def lowest_alive(
    value: np.ndarray, born: np.ndarray, dies: np.ndarray, n_levels: int, missing: int
) -> np.ndarray:
    """Return, for every level, the smallest value among the items alive there, `missing` where none is, (K,).

    Each of N items counts at the levels ``born`` to ``dies - 1``; ``born < dies <= n_levels``. A sparse table
    used backwards: an interval is covered by two blocks whose length is a power of two, minima are noted per
    block and then handed down to blocks of half the length.
    """
    depth = max(1, int(n_levels).bit_length())
    table = np.full((depth, n_levels), missing, dtype=np.int64)
    if value.size:
        power = np.frexp((dies - born).astype(np.float64))[1] - 1  # floor(log2(length)), exact
        np.minimum.at(table, (power, born), value)
        np.minimum.at(table, (power, dies - (1 << power)), value)
    for power in range(depth - 1, 0, -1):
        half = 1 << (power - 1)
        np.minimum(table[power - 1], table[power], out=table[power - 1])
        np.minimum(table[power - 1, half:], table[power, : n_levels - half], out=table[power - 1, half:])
    return table[0]
