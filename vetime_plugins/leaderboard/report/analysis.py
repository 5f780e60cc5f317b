"""Everything that a report says about a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.report.board import Board
from vetime_plugins.metrics.statistics import (
    Comparison,
    PairedDifference,
    Wins,
    compare_all,
    count_wins,
    paired_bootstrap,
)

__all__ = ["Analysis", "analyse"]


FEWEST = 5
"""Series below which nothing is marked as sure: Wilcoxon's test cannot reach 5 % on five pairs."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that a report says about a run, in which detectors are compared with `reference`.

    `differences` are those of every other detector minus `reference`; None where the metric is undefined on
    every series. `others` are the detectors that a compared one stands for, see `group_detectors`, and
    `every` lays out the compared series for all of them together.
    """

    board: Board
    reference: str
    comparison: Comparison
    wins: Wins
    differences: dict[str, PairedDifference | None]
    every: Board
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether there are series enough to call a difference sure; below that no colour says so."""
        return self.comparison.n_series >= FEWEST


def analyse(
    board: Board,
    against: str | None = None,
    *,
    every: Board | None = None,
    others: Mapping[str, Sequence[str]] | None = None,
) -> Analysis:
    """Compare the detectors of a run with one of them.

    Parameters
    ----------
    board : Board
    against : str, optional
        Name of that one; the best where left out.
    every : Board, optional
        The compared series with all detectors; `board` where each stands for itself.
    others : mapping of str to sequence of str, optional
        The detectors that a compared one stands for.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError
        If it is not on the board.
    """
    reference = board.detectors[0] if against is None else against
    if reference not in board.detectors:
        raise InputError(f"no results of {reference!r}; there are {', '.join(board.detectors)}")
    values, datasets = board.defined(), [key.dataset for key in board.series]
    columns = dict(zip(board.detectors, board.values().T, strict=True))
    base = columns.pop(reference)
    differences = {
        name: paired_bootstrap(column, base, datasets) if len(values) else None
        for name, column in columns.items()
    }
    return Analysis(
        board, reference, compare_all(values), count_wins(values), differences, every or board, others or {}
    )
