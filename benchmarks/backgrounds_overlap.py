"""Look for stretches that real backgrounds share with evaluation data.

Every window of 96 steps is freed of its line and scaled to unit power, so that neither offset, trend nor
scale hides a copy; three random projections of it, rounded, are its key. Windows of both sides with one key
are compared value by value.

    python benchmarks/backgrounds_overlap.py --data ../shared/data [--backgrounds FILE.npz]
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vetime_plugins.leaderboard.datasets import find_series
from vetime_plugins.leaderboard.readers import read_series
from vetime_plugins.synthesis.backgrounds import load_backgrounds, open_backgrounds

WINDOW = 96
STRIDE = 12  # of the backgrounds; the other side is compared at every step
GRAIN = 0.05
LEAST_VALUES = 48  # windows of fewer different values are steps and lines that anything may have
LEAST_BEND = 0.05  # share of a window that is no straight line: gaps that were filled are lines
LINE = np.linspace(-1.0, 1.0, WINDOW) / np.linalg.norm(np.linspace(-1.0, 1.0, WINDOW))
SAME = 0.9999  # correlation of two windows that are copies


def windows(values: NDArray[np.float64], stride: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the normalised windows (N, 96) that are no mere steps or lines, and where they start."""
    values = np.nan_to_num(np.asarray(values, np.float64))
    if len(values) < WINDOW:
        return np.empty((0, WINDOW)), np.empty(0, np.int64)
    all_windows = np.lib.stride_tricks.sliding_window_view(values, WINDOW)[::stride]
    found, starts = [], []
    for first in range(0, len(all_windows), 50_000):
        part = all_windows[first : first + 50_000]
        different = (np.diff(np.sort(part, axis=1), axis=1) > 0).sum(1) + 1
        part = part - part.mean(1, keepdims=True)
        whole = np.linalg.norm(part, axis=1)
        part = part - (part @ LINE)[:, None] * LINE
        norm = np.linalg.norm(part, axis=1)
        keep = (different >= LEAST_VALUES) & (norm > LEAST_BEND * whole) & (norm > 1e-9)
        found.append(part[keep] / norm[keep, None])
        starts.append((first + np.nonzero(keep)[0]) * stride)
    return np.concatenate(found), np.concatenate(starts)


def keys(units: NDArray[np.float64], projection: NDArray[np.float64], shift: float) -> NDArray[np.int64]:
    """Return one number for each window; equal ones for equal windows (but for rounding)."""
    cells = np.floor(units @ projection / GRAIN + shift).astype(np.int64) + 4096
    return (cells[:, 0] << 40) | (cells[:, 1] << 20) | cells[:, 2]


def main() -> None:
    """Compare, and print each pair of series with the windows that they share."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of evaluation series")
    parser.add_argument("--backgrounds", type=Path, help="file of backgrounds; else the installed packages")
    args = parser.parse_args()
    bank = open_backgrounds(args.backgrounds) if args.backgrounds else load_backgrounds()
    projection = np.random.default_rng(0).standard_normal((WINDOW, 3)) * 3
    names, owners, units = list(bank), [], []
    for number, name in enumerate(names):
        found, _ = windows(bank[name], STRIDE)
        units.append(found.astype(np.float32))
        owners.append(np.full(len(found), number))
    own, owner = np.concatenate(units), np.concatenate(owners)
    # Two grids, half a cell apart: rounding may part two copies in one of them.
    tables = []
    for shift in (0.0, 0.5):
        key = keys(own, projection, shift)
        order = np.argsort(key, kind="stable")
        tables.append((shift, key[order], order))
    shared: Counter[tuple[str, str]] = Counter()
    n_series = n_compared = 0
    for entry in find_series(args.data):
        values = np.asarray(read_series(entry.path, dataset=entry.dataset).values, np.float64)
        for column in np.atleast_2d(values.T):
            n_series += 1
            theirs, _ = windows(column, 1)
            n_compared += len(theirs)
            for shift, key, order in tables:
                wanted = keys(theirs, projection, shift)
                low, high = np.searchsorted(key, wanted, "left"), np.searchsorted(key, wanted, "right")
                for row in np.nonzero(high > low)[0]:
                    mine = order[low[row] : high[row]]
                    for match in mine[own[mine] @ theirs[row] > SAME]:
                        shared[entry.path.name, names[owner[match]]] += 1
    print(f"{len(bank)} backgrounds, {len(own):,} windows; {n_series} series, {n_compared:,} windows")
    print(f"{len(shared)} pairs of series share a window")
    for (file, name), count in shared.most_common(50):
        print(f"{count:6d} {file} {name}")


if __name__ == "__main__":
    main()
