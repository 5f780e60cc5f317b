"""The tables that say on which anomalies a detector is good: by their kind, and by how often they come."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from vetime_plugins.leaderboard.report.board import Board
from vetime_plugins.leaderboard.report.entries import (
    Column,
    Entry,
    Table,
    mark_best,
    show_heat,
    text_column,
)
from vetime_plugins.leaderboard.report.origin import show_detector
from vetime_plugins.metrics.statistics import group_means

__all__ = ["anomaly_kinds", "by_anomaly", "by_recurrence", "only_kinds"]

METRICS = ("AUC-PR", "VUS-PR", "Exact-Peak")
"""Points, ranges, and the place of the peak: what is broken down, besides the metric of the board."""

_OFTEN = 5  # anomalies from which on each may have five neighbours like it


def anomaly_kinds(board: Board) -> list[str]:
    """Return the kind of anomaly of each compared series; empty where it is unknown."""
    return [next((cell.kind for cell in board.on(key) if cell.kind), "") for key in board.series]


def only_kinds(board: Board) -> bool:
    """Return whether the data sets of a board are the kinds of anomaly, so that one table says both."""
    return anomaly_kinds(board) == [key.dataset for key in board.series]


def by_anomaly(board: Board) -> list[Table]:
    """Return a table per metric of every detector's means; none where no kind of anomaly is known."""
    kinds = anomaly_kinds(board)
    kept = [i for i, kind in enumerate(kinds) if kind]
    if not kept:
        return []
    known = [kinds[i] for i in kept]
    return [_by_anomaly(board, metric, kept, known) for metric in _metrics(board)]


def _by_anomaly(board: Board, metric: str, kept: Sequence[int], kinds: Sequence[str]) -> Table:
    values = board.values(metric)[kept]
    defined = ~np.isnan(values).any(axis=1)
    sizes = Counter(kind for kind, counts in zip(kinds, defined, strict=True) if counts)
    names = sorted(set(kinds))
    columns = [
        text_column("detector"),
        Column("all kinds", "mean over kinds"),
        *(Column(name, f"{name}: {sizes[name]} series") for name in names),
    ]
    rows = []
    for name, column in zip(board.detectors, values.T, strict=True):
        means, mean = group_means(column, kinds)
        rows.append(
            [show_detector(board, name), show_heat(mean), *(show_heat(means[kind]) for kind in names)]
        )
    counts = [sum(sizes.values()), *(sizes[name] for name in names)]
    footer = [[Entry("series"), *(Entry(str(n), float(n)) for n in counts)]]
    return Table(f"{metric} by kind of anomaly", columns, mark_best(rows), footer=footer)


def by_recurrence(board: Board) -> Table | None:
    """Return every detector's means over the series with one anomaly, and over those with several.

    None where fewer than two of these groups have series, or the number of anomalies is unknown.
    """
    numbers = [_count(board, i) for i in range(len(board.series))]
    groups: dict[str, list[int]] = {}
    for name, low, high in (("once", 1, 1), ("a few times", 2, _OFTEN - 1), ("often", _OFTEN, math.inf)):
        kept = [i for i, number in enumerate(numbers) if number is not None and low <= number <= high]
        if kept:
            groups[name] = kept
    if len(groups) < 2:
        return None
    metrics = _metrics(board)
    columns = [
        text_column("detector"),
        *(
            Column(f"{metric}, {_name(name, kept, numbers)}", f"{len(kept)} series")
            for metric in metrics
            for name, kept in groups.items()
        ),
    ]
    rows = []
    for at, name in enumerate(board.detectors):
        row = [show_detector(board, name)]
        for metric in metrics:
            for kept in groups.values():
                datasets = [board.series[i].dataset for i in kept]
                row.append(show_heat(group_means(board.values(metric)[kept, at], datasets)[1]))
        rows.append(row)
    sizes = [len(kept) for _ in metrics for kept in groups.values()]
    footer = [[Entry("series"), *(Entry(str(n), float(n)) for n in sizes)]]
    note = "How often there is an anomaly in the judged part of a series. Means over data sets."
    return Table("By recurrence of the anomaly", columns, mark_best(rows), note, footer)


def _metrics(board: Board) -> list[str]:
    return [name for name in dict.fromkeys((board.metric, *METRICS)) if name in board.metrics]


def _count(board: Board, at: int) -> int | None:
    found = (cell.n_anomalies for cell in board.on(board.series[at]))
    return next((number for number in found if number is not None), None)


def _name(name: str, kept: Sequence[int], numbers: Sequence[int | None]) -> str:
    """Return the name of a group: the number itself where all of its series have the same."""
    found = {numbers[i] for i in kept}
    return name if name == "once" or len(found) > 1 else f"{found.pop()} times"
