"""Means over cells, and the difference between two detectors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.results import Cell
from vetime_plugins.metrics.statistics import PairedDifference, group_means, paired_bootstrap

__all__ = ["SeriesKey", "Summary", "by_detector", "cell_value", "compare_cells", "summarise_cells"]


class SeriesKey(NamedTuple):
    """What tells a series from the others."""

    dataset: str
    name: str


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

    @classmethod
    def of(cls, datasets: Sequence[str], values: dict[str, Any], **counts: dict[str, int]) -> Summary:
        """Average values, by metric and in the order of `datasets`, over the series of each data set."""
        means = {metric: group_means(column, datasets) for metric, column in values.items()}
        by_dataset = {
            name: {metric: found[name] for metric, (found, _) in means.items()}
            for name in sorted(set(datasets))
        }
        return cls(by_dataset, {metric: mean for metric, (_, mean) in means.items()}, **counts)


def summarise_cells(cells: Sequence[Cell]) -> dict[str, Summary]:
    """Average the cells of each detector over the series of a data set, and then over data sets.

    Parameters
    ----------
    cells : sequence of Cell

    Returns
    -------
    dict of str to Summary
        By detector, of the metrics that all of its cells have. A cell that failed counts as 0.

    Raises
    ------
    InputError
        If a detector has two cells of a series.
    """
    return {name: _summarise(list(group.values())) for name, group in by_detector(cells).items()}


def compare_cells(
    cells: Sequence[Cell], others: Sequence[Cell], *, metric: str = "VUS-PR", seed: int = 0
) -> PairedDifference:
    """Bootstrap the difference between two detectors in the mean over data sets.

    Parameters
    ----------
    cells, others : sequence of Cell
        Of one detector each, on the same series. A cell that failed counts as 0.
    metric : str, default "VUS-PR"
    seed : int, default 0

    Returns
    -------
    PairedDifference
        Of the first minus the second, see `vetime_plugins.metrics.statistics.paired_bootstrap`.

    Raises
    ------
    InputError
        If the two are not on the same series, lack the metric, or nothing is defined on any.
    """
    first, second = _of_one(cells), _of_one(others)
    unpaired = set(first) ^ set(second)
    if unpaired:
        example = "/".join(min(unpaired))
        raise InputError(
            f"both detectors must be on the same series; {len(unpaired)} are not, e.g. {example}"
        )
    ours, theirs = ([cell_value(group[key], metric) for key in first] for group in (first, second))
    return paired_bootstrap(ours, theirs, [dataset for dataset, _ in first], seed=seed)


def by_detector(cells: Iterable[Cell]) -> dict[str, dict[SeriesKey, Cell]]:
    """Return the cells of each detector by series; InputError if there are two of one."""
    found: dict[str, dict[SeriesKey, Cell]] = {}
    for cell in cells:
        key = SeriesKey(cell.dataset, cell.series)
        if found.setdefault(cell.detector, {}).setdefault(key, cell) is not cell:
            raise InputError(
                f"{cell.detector} has two results on {cell.dataset}/{cell.series}; keep the results of "
                "different tasks in different folders"
            )
    return found


def _of_one(cells: Sequence[Cell]) -> dict[SeriesKey, Cell]:
    found = by_detector(cells)
    if len(found) != 1:
        raise InputError(f"cells must be of one detector, got {', '.join(sorted(found)) or 'none'}")
    return next(iter(found.values()))


def _summarise(cells: Sequence[Cell]) -> Summary:
    def count(which: Callable[[Cell], bool]) -> dict[str, int]:
        counted = Counter(cell.dataset for cell in cells if which(cell))
        return {name: counted[name] for name in sorted({cell.dataset for cell in cells})}

    metrics = [name for name in cells[0].metrics if all(name in cell.metrics for cell in cells)]
    return Summary.of(
        [cell.dataset for cell in cells],
        {name: [cell_value(cell, name) for cell in cells] for name in metrics},
        n_series=count(lambda cell: True),
        n_failed=count(lambda cell: cell.failed),
        n_undefined=count(lambda cell: not cell.failed and all(map(math.isnan, cell.metrics.values()))),
    )


def cell_value(cell: Cell, metric: str) -> float:
    """Return what a cell counts: 0 for a failure, NaN for undefined labels; InputError without the metric."""
    if metric not in cell.metrics and not cell.failed:
        raise InputError(f"the results of {cell.detector} hold no {metric}, only {', '.join(cell.metrics)}")
    return 0.0 if cell.failed else cell.metrics[metric]
