"""What has changed since an earlier run: detector by detector, on the series that both runs have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.report.analysis import FEWEST, Analysis
from vetime_plugins.leaderboard.report.board import Board, build_board
from vetime_plugins.leaderboard.report.entries import (
    DASH,
    Column,
    Entry,
    Table,
    show_count,
    show_number,
    show_score,
    show_text,
    text_column,
)
from vetime_plugins.leaderboard.report.origin import describe_run, show_detector
from vetime_plugins.leaderboard.report.tables import show_difference
from vetime_plugins.leaderboard.results import Cell
from vetime_plugins.leaderboard.summary import cell_value
from vetime_plugins.metrics.statistics import group_means, paired_bootstrap

__all__ = ["Changes", "find_changes"]

_DECIMALS = 6  # within which two values are equal, as everywhere in the report


@dataclass(frozen=True)
class Changes:
    """What the section about an earlier run shows.

    `table` has a row a detector whose values differ, and `facts` a row a fact that does; None where there is
    none. `same` name the detectors without a difference, `added` and `gone` those of one run alone.
    """

    table: Table | None
    facts: Table | None
    same: tuple[str, ...]
    added: tuple[str, ...]
    gone: tuple[str, ...]


def find_changes(analysis: Analysis, cells: Sequence[Cell]) -> Changes:
    """Compare a run with the cells of an earlier one.

    A detector is compared on the series that it was run on in both and that the metric is defined on in both;
    a failure counts as 0.

    Raises
    ------
    InputError
        If the earlier run lacks the metric, or no detector has a series in both.
    """
    board, every = analysis.board, analysis.every
    earlier = build_board(cells, metric=board.metric, missing="zero")
    rows = {name: row for name in every.detectors if (row := _compare(every, earlier, name)) is not None}
    if not rows:
        raise InputError(
            "no detector was run on a series of both runs; the earlier one has "
            f"{', '.join(earlier.detectors)} on {len(earlier.series)} series"
        )
    metric = board.metric
    columns = [
        text_column("detector"),
        Column(f"{metric} now", "mean over data sets of the series in both runs, times 100"),
        Column("earlier", "the same of the earlier run"),
        Column("change", "points of 100"),
        Column("95 % interval", "paired bootstrap over the series of each data set"),
        Column("better on", "series"),
        Column("worse on", "series"),
        Column("series", f"in both runs, with {metric} defined"),
        Column("seconds", "mean time to fit and score a series that succeeded", first="ascending"),
        Column("earlier seconds", "the same of the earlier run", first="ascending"),
    ]
    changed = {name: row for name, row in rows.items() if any(row[at].value for at in _DIFFERING)}
    table = Table(f"{metric} now and in the earlier run", columns, list(changed.values()), _NOTE)
    return Changes(
        table if changed else None,
        _differing(every, earlier),
        tuple(name for name in rows if name not in changed),
        tuple(name for name in every.detectors if name not in earlier.detectors),
        tuple(name for name in earlier.detectors if name not in every.detectors),
    )


_DIFFERING = (5, 6)  # the columns of how many series it is better and worse on
_NOTE = (
    "Each detector on the series that it was run on in both runs, so that rows may rest on different series, "
    "and values differ from the standings where a run has others. A failure counts as 0."
)


def _compare(now: Board, earlier: Board, name: str) -> list[Entry] | None:
    keys = [key for key in now.every_series if (name, key) in now.cells and (name, key) in earlier.cells]
    values = np.array(
        [[cell_value(board.cells[name, key], now.metric) for key in keys] for board in (now, earlier)]
    ).reshape(2, len(keys))
    kept = ~np.isnan(values).any(axis=0)
    if not kept.any():
        return None
    values = values[:, kept].round(_DECIMALS)
    datasets = [key.dataset for key, one in zip(keys, kept, strict=True) if one]
    found = paired_bootstrap(values[0], values[1], datasets)
    return [
        show_detector(now, name),
        *(show_score(group_means(column, datasets)[1]) for column in values),
        *show_difference(found, sure=found.n_series >= FEWEST),
        show_count(int((values[0] > values[1]).sum())),
        show_count(int((values[0] < values[1]).sum())),
        show_count(found.n_series),
        *(show_number(board.seconds(name), ".3g") for board in (now, earlier)),
    ]


def _differing(now: Board, earlier: Board) -> Table | None:
    """Return what a reader must know of both runs, where it is not the same."""
    ours, theirs = (dict(describe_run(board)) for board in (now, earlier))
    rows = [
        [show_text(what), show_text(ours.get(what, DASH)), show_text(theirs.get(what, DASH))]
        for what in dict.fromkeys((*ours, *theirs))
        if ours.get(what) != theirs.get(what)
    ]
    columns = [text_column("what"), text_column("now"), text_column("earlier")]
    return Table("What differs between the runs", columns, rows) if rows else None
