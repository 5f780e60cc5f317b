"""Running a detector over a folder of labelled series, and comparing what comes out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from vetime_plugins.detectors.registry import Detector as RegisteredDetector
from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import SeriesFile, find_series, read_series
from vetime_plugins.leaderboard.rows import Row, RowFile
from vetime_plugins.metrics import check_metric_names, evaluate, find_buffer

__all__ = ["PairedDifference", "Summary", "evaluate_folder", "paired_bootstrap", "summarise"]

Detector = Callable[[np.ndarray], Any]
"""A function from a series (T, C), or (T,) for a single variable, to scores (T,)."""


def evaluate_folder(
    folder: str | PathLike[str],
    detector: Detector | RegisteredDetector,
    *,
    name: str,
    datasets: Iterable[str] | None = None,
    metrics: str | Iterable[str] | None = None,
    out: str | PathLike[str] | None = None,
    progress: Callable[[int, int, Row], None] | None = None,
) -> list[Row]:
    """Score every series of a folder with one detector and measure the scores.

    The detector sees the whole series; metrics are taken on the part after the train points. The buffer of
    VUS and PATE is the period of the first variable of the whole series (`find_buffer`).

    Parameters
    ----------
    folder : str or path
        Series in the layout of TSB-AD, see `find_series`.
    detector : callable, or detector of the leaderboard
        Called with the values, float64 of shape (T,) for one variable and (T, C) for several; returns (T,)
        scores, higher meaning more anomalous. An object with `fit_score` is told the train length as well.
    name : str
        What to call the detector in the rows.
    datasets : iterable of str, optional
        Only these data sets.
    metrics : str or iterable of str, optional
        Only these metrics.
    out : str or path, optional
        CSV file that takes every row as soon as it is there. Where it holds rows of this detector already,
        those series are not run again, so an interrupted run goes on where it was; rows of a failure are
        repeated.
    progress : callable, optional
        Called with the number of finished series, of all, and the row.

    Returns
    -------
    list of Row
        One for each series, in the order of `find_series`. A detector that raises, or returns anything but
        one finite score a point, leaves a row with the status "ERROR" and the message; it is never left
        out.

    Raises
    ------
    InputError
        If the folder, a file or an argument is unusable, or `out` holds rows of another kind.
    """
    wanted = check_metric_names(metrics)
    files = find_series(folder, datasets=datasets)
    store = None if out is None else RowFile(out, wanted)
    done = {} if store is None else {row.key: row for row in store.read() if row.status == "OK"}
    rows = []
    for file in files:
        known = done.get((name, file.dataset, file.path.name))
        row = _run(file, detector, name, wanted) if known is None else known
        if known is None and store is not None:
            store.append(row)
        rows.append(row)
        if progress is not None:
            progress(len(rows), len(files), row)
    return rows


def _run(file: SeriesFile, detector: Detector | RegisteredDetector, name: str, metrics: Sequence[str]) -> Row:
    series = read_series(file.path, dataset=file.dataset)
    n_points, n_variables = series.values.shape
    row = Row(
        detector=name,
        dataset=file.dataset,
        file=file.path.name,
        n_points=n_points,
        n_test=n_points - series.train_length,
        n_variables=n_variables,
        buffer=find_buffer(series.values),
        metrics=dict.fromkeys(metrics, math.nan),
    )
    values = series.values[:, 0].copy() if n_variables == 1 else series.values.copy()
    begin = time.perf_counter()
    try:
        scores = np.asarray(_score(detector, values, series.train_length, row.buffer), dtype=np.float64)
        seconds = time.perf_counter() - begin
        if scores.shape != (n_points,):
            raise InputError(f"a detector must return the shape ({n_points},), got {scores.shape}")
        found = evaluate(series.labels[series.test], scores[series.test], row.buffer, metrics=metrics)
    except Exception as error:  # whatever a third party's detector raises is a result
        message = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        return row.replace(status="ERROR", seconds=time.perf_counter() - begin, note=message)
    return row.replace(metrics=dict(found), seconds=seconds, note=found.reason or "")


def _score(
    detector: Detector | RegisteredDetector, values: np.ndarray, train_length: int, period: int
) -> Any:
    if isinstance(detector, RegisteredDetector):
        return detector.fit_score(values, train_length, period)
    return detector(values)


@dataclass(frozen=True)
class Summary:
    """Means over the series of each data set, and over data sets.

    Attributes
    ----------
    datasets : dict of str to dict of str to float
        For each data set the mean of each metric over its series.
    mean : dict of str to float
        Mean over data sets, so that a data set with many series counts like one with few.
    n_series, n_failed, n_undefined : dict of str to int
        For each data set how many series there are, how many the detector failed on (they count as 0), and
        how many have labels on which no metric is defined (they are left out of the means).
    """

    datasets: dict[str, dict[str, float]]
    mean: dict[str, float]
    n_series: dict[str, int] = field(default_factory=dict)
    n_failed: dict[str, int] = field(default_factory=dict)
    n_undefined: dict[str, int] = field(default_factory=dict)

    def to_markdown(self, metrics: Iterable[str] | None = None) -> str:
        """Return a table with one line a data set, metrics times 100.

        Parameters
        ----------
        metrics : iterable of str, optional
            Columns; all where left out.

        Returns
        -------
        str
        """
        names = list(self.mean) if metrics is None else list(metrics)
        lines = [["data set", "series", "failed", *names]]
        for dataset, values in self.datasets.items():
            counts = [str(self.n_series[dataset]), str(self.n_failed[dataset])]
            lines.append([dataset, *counts, *(_percent(values[name]) for name in names)])
        totals = [str(sum(self.n_series.values())), str(sum(self.n_failed.values()))]
        lines.append(["**mean over data sets**", *totals, *(_percent(self.mean[name]) for name in names)])
        lines.insert(1, ["---", *["---:"] * (len(lines[0]) - 1)])
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summarise(rows: Sequence[Row]) -> Summary:
    """Average rows within data sets and then over data sets.

    Parameters
    ----------
    rows : sequence of Row
        Of one detector.

    Returns
    -------
    Summary

    Raises
    ------
    InputError
        If there are no rows, or they are of several detectors or hold a series twice.
    """
    _check_rows(rows)
    grouped = {dataset: list(group) for dataset, group in _by_dataset(rows)}
    names = list(rows[0].metrics)
    datasets = {
        dataset: {name: _mean([_value(row, name) for row in group]) for name in names}
        for dataset, group in grouped.items()
    }
    return Summary(
        datasets=datasets,
        mean={name: _mean([values[name] for values in datasets.values()]) for name in names},
        n_series={dataset: len(group) for dataset, group in grouped.items()},
        n_failed={dataset: sum(row.failed for row in group) for dataset, group in grouped.items()},
        n_undefined={dataset: sum(row.undefined for row in group) for dataset, group in grouped.items()},
    )


@dataclass(frozen=True)
class PairedDifference:
    """How much better one detector is than another on the same series, and how sure that is.

    Attributes
    ----------
    difference : float
        Mean over data sets of the first minus that of the second.
    low, high : float
        Interval that holds the given share of bootstrap differences.
    n_series, n_datasets : int
        What it rests on.
    """

    difference: float
    low: float
    high: float
    n_series: int
    n_datasets: int


def paired_bootstrap(
    rows: Sequence[Row],
    other_rows: Sequence[Row],
    *,
    metric: str = "VUS-PR",
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Bootstrap the difference between two detectors in the mean over data sets.

    Parameters
    ----------
    rows, other_rows : sequence of Row
        Of one detector each, on the same series.
    metric : str, default "VUS-PR"
    n_resamples : int, default 10,000
    level : float, default 0.95
        Share of resampled differences within the interval.
    seed : int, default 0

    Returns
    -------
    PairedDifference

    Raises
    ------
    InputError
        If the two are not on the same series, lack the metric, or nothing is defined on any.

    Notes
    -----
    Percentile interval. Series are drawn with replacement within each data set, always both detectors'
    values of a series together, so that what makes a series hard for both cancels. Data sets are not drawn:
    the interval is about other series of the same kinds, not about other kinds.
    """
    _check_rows(rows)
    _check_rows(other_rows)
    if not (0 < level < 1) or n_resamples < 1:
        raise InputError(f"level must lie in (0, 1) and n_resamples be >= 1, got {level} and {n_resamples}")
    others = {row.key[1:]: row for row in other_rows}
    unpaired = {row.key[1:] for row in rows} ^ set(others)
    if unpaired:
        example = "/".join(min(unpaired))
        raise InputError(
            f"both detectors must be on the same series; {len(unpaired)} are not, e.g. {example}"
        )
    generator = np.random.default_rng(seed)
    observed, resampled, n_series = [], [], 0
    for _, group in _by_dataset(rows):
        pairs = [(_value(row, metric), _value(others[row.key[1:]], metric)) for row in group]
        differences = np.array([a - b for a, b in pairs if not math.isnan(a - b)])
        if differences.size == 0:
            continue
        n_series += differences.size
        observed.append(differences.mean())
        drawn = generator.integers(0, differences.size, (n_resamples, differences.size))
        resampled.append(differences[drawn].mean(axis=1))
    if not observed:
        raise InputError(f"{metric} is undefined on every series; there is nothing to compare")
    low, high = np.quantile(np.mean(resampled, axis=0), [(1 - level) / 2, (1 + level) / 2])
    return PairedDifference(float(np.mean(observed)), float(low), float(high), n_series, len(observed))


def _check_rows(rows: Sequence[Row]) -> None:
    if not rows:
        raise InputError("there are no rows to summarise")
    detectors = sorted({row.detector for row in rows})
    if len(detectors) > 1:
        raise InputError(f"rows must be of one detector, got {', '.join(detectors)}; pick one first")
    if len({row.key for row in rows}) < len(rows):
        raise InputError(f"rows of {detectors[0]} hold a series twice")


def _by_dataset(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row]]]:
    for dataset in sorted({row.dataset for row in rows}):
        yield dataset, [row for row in rows if row.dataset == dataset]


def _value(row: Row, metric: str) -> float:
    """Return what a row counts: 0 for a failure, NaN for undefined labels."""
    if metric not in row.metrics:
        raise InputError(f"rows of {row.detector} hold no {metric}, only {', '.join(row.metrics)}")
    return 0.0 if row.failed else row.metrics[metric]


def _mean(values: list[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"
