"""Series that a reader has found, and what readers share."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import BenchmarkSeries

__all__ = ["SeriesEntry", "make_series", "read_rows"]


@dataclass(frozen=True)
class SeriesEntry:
    """A series that has been found, not read; `load` raises InputError where it cannot be read."""

    name: str
    dataset: str
    load: Callable[[], BenchmarkSeries] = field(repr=False)


def make_series(
    name: str, dataset: str, values: np.ndarray, labels: np.ndarray, train_length: int, path: Path
) -> BenchmarkSeries:
    """Return a series that was read from `path`; raise InputError if nothing of it can be judged."""
    if np.isinf(values).any():
        raise InputError(f"{path} holds infinite values; leave the cells of missing readings empty")
    if train_length >= len(values):
        raise InputError(f"{path} has {len(values)} points, but {train_length} of them are for training")
    return BenchmarkSeries(name, dataset, values, labels, train_length)


def read_rows(path: Path, delimiter: str = ",") -> list[list[str]]:
    """Return header and rows of a CSV file, without empty lines."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream, delimiter=delimiter) if row]
    except (OSError, UnicodeDecodeError, csv.Error, TypeError) as error:
        raise InputError(f"cannot read {path}: {error}") from error
    if len(rows) < 2:
        raise InputError(f"{path} must have a header and rows below it, has {len(rows)} lines")
    return rows
