"""Everything that a report says about a run."""

from __future__ import annotations

from dataclasses import dataclass

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

__all__ = ["Analysis", "analyse", "differences"]


def differences(board: Board, reference: str) -> dict[str, PairedDifference | None]:
    """Return how far every other detector is from one, with a bootstrap interval.

    Parameters
    ----------
    board : Board
    reference : str
        Display name of the detector to compare with.

    Returns
    -------
    dict of str to PairedDifference
        Positive where the detector is better than `reference`; None where the metric is undefined on every
        series. Without `reference` itself.

    Raises
    ------
    InputError
        If there is no such detector.
    """
    if reference not in board.detectors:
        raise InputError(f"no results of {reference!r}; there are {', '.join(board.detectors)}")
    others = [name for name in board.detectors if name != reference]
    if not len(board.defined()):
        return dict.fromkeys(others)
    values, datasets = board.values(), [key.dataset for key in board.series]
    columns = dict(zip(board.detectors, values.T, strict=True))
    return {name: paired_bootstrap(columns[name], columns[reference], datasets) for name in others}


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that a report says about a run.

    Attributes
    ----------
    board : Board
    reference : str
        The detector that the others are compared with.
    comparison : Comparison
    wins : Wins
    differences : dict of str to PairedDifference
        See `differences`.
    """

    board: Board
    reference: str
    comparison: Comparison
    wins: Wins
    differences: dict[str, PairedDifference | None]


def analyse(board: Board, against: str | None = None) -> Analysis:
    """Compare the detectors of a run.

    Parameters
    ----------
    board : Board
    against : str, optional
        Detector to compare the others with; the best one where left out.

    Returns
    -------
    Analysis

    Raises
    ------
    InputError
        If there is no such detector.
    """
    reference = board.detectors[0] if against is None else against
    found = differences(board, reference)
    values = board.defined()
    return Analysis(board, reference, compare_all(values), count_wins(values), found)
