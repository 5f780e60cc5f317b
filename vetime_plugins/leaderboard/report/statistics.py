"""Who is better than whom: ranks, wins and tests over the same series.

References
----------
.. [1] J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.
.. [2] A. Benavoli, G. Corani, F. Mangili, "Should we really use post-hoc tests based on mean-ranks?",
   JMLR 17, 2016. It is why pairs are compared by Wilcoxon's test: Nemenyi's answer about two detectors
   changes with the other detectors in the table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.evaluation import PairedDifference, paired_bootstrap
from vetime_plugins.leaderboard.report.board import Board

__all__ = [
    "Analysis",
    "Comparison",
    "Wins",
    "analyse",
    "average_ranks",
    "compare_all",
    "count_wins",
    "differences",
    "format_p",
    "has_interval",
    "holm",
]


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return each detector's rank, averaged over series.

    Parameters
    ----------
    values : numpy.ndarray, shape (n_series, n_detectors)
        Higher is better; without NaN.

    Returns
    -------
    numpy.ndarray, shape (n_detectors,)
        1 is best; detectors with equal values share the mean of their ranks. NaN without series.

    Examples
    --------
    >>> average_ranks(np.array([[0.9, 0.5, 0.5], [0.2, 0.4, 0.1]])).tolist()
    [1.5, 1.75, 2.75]
    """
    if not len(values):
        return np.full(values.shape[1], math.nan)
    return stats.rankdata(-values, axis=1).mean(axis=0)


def has_interval(found: PairedDifference) -> bool:
    """Return whether a bootstrap had anything to draw: some data set with more than one series."""
    return found.n_series > found.n_datasets


def format_p(p_value: float) -> str:
    """Return a p-value with its sign of comparison; below 0.0001 the bound alone.

    Examples
    --------
    >>> format_p(0.0312), format_p(0.0)
    ('= 0.031', '< 0.0001')
    """
    return "< 0.0001" if p_value < 1e-4 else f"= {p_value:.2g}"


@dataclass(frozen=True, eq=False)
class Wins:
    """How often each detector is better than each other one.

    Attributes
    ----------
    wins, ties : numpy.ndarray of int, shape (n_detectors, n_detectors)
        Series on which the detector of the row is better than that of the column, and as good.
    n_series : int
        On which the metric is defined.
    """

    wins: np.ndarray
    ties: np.ndarray
    n_series: int

    @property
    def share(self) -> np.ndarray:
        """Share of series won, a tie counting half, (n_detectors, n_detectors); NaN without series."""
        if not self.n_series:
            return np.full(self.wins.shape, math.nan)
        return (self.wins + 0.5 * self.ties) / self.n_series


def count_wins(values: np.ndarray) -> Wins:
    """Compare every detector with every other one, series by series.

    Parameters
    ----------
    values : numpy.ndarray, shape (n_series, n_detectors)
        Higher is better; without NaN.

    Returns
    -------
    Wins
    """
    row, column = values[:, :, None], values[:, None, :]
    return Wins((row > column).sum(axis=0), (row == column).sum(axis=0), len(values))


@dataclass(frozen=True, eq=False)
class Comparison:
    """Which detectors can be told apart.

    Attributes
    ----------
    ranks : numpy.ndarray, shape (n_detectors,)
        See `average_ranks`.
    friedman_p : float
        Probability, were all detectors equally good, of ranks that differ as much. NaN where the test does
        not apply: fewer than three detectors, fewer than two series, or all values equal.
    p_values : numpy.ndarray, shape (n_detectors, n_detectors)
        Of Wilcoxon's signed-rank test (two-sided; half of the zero differences on each side), corrected for
        the number of pairs by Holm's method.
    cliques : list of tuple of int
        Longest runs of detectors, consecutive in rank, none of which differs from another of its run.
    n_series : int
        On which the metric is defined.
    level : float
        Probability below which a difference counts as one.
    """

    ranks: np.ndarray
    friedman_p: float
    p_values: np.ndarray
    cliques: list[tuple[int, ...]]
    n_series: int
    level: float


def compare_all(values: np.ndarray, *, level: float = 0.05) -> Comparison:
    """Test all detectors together and all pairs of them.

    Parameters
    ----------
    values : numpy.ndarray, shape (n_series, n_detectors)
        Higher is better; without NaN.
    level : float, default 0.05
        Probability below which a difference counts as one.

    Returns
    -------
    Comparison
    """
    n_series, n_detectors = values.shape
    ranks = average_ranks(values)
    friedman = math.nan
    if n_detectors >= 3 and n_series >= 2 and (values != values[:, :1]).any():
        friedman = float(stats.friedmanchisquare(*values.T).pvalue)
    first, second = np.triu_indices(n_detectors, 1)
    raw = np.array([_wilcoxon(values[:, i] - values[:, j]) for i, j in zip(first, second, strict=True)])
    p_values = np.ones((n_detectors, n_detectors))
    p_values[first, second] = p_values[second, first] = holm(raw)
    return Comparison(ranks, friedman, p_values, _find_cliques(ranks, p_values > level), n_series, level)


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values for their number by Holm's step-down method.

    Parameters
    ----------
    p_values : numpy.ndarray, shape (n,)

    Returns
    -------
    numpy.ndarray, shape (n,)

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return corrected


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
    base = board.rows(reference, [board.metric])
    return {
        name: paired_bootstrap(board.rows(name, [board.metric]), base, metric=board.metric) for name in others
    }


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


def _wilcoxon(difference: np.ndarray) -> float:
    """Return the p-value that the differences (n_series,) are centred on 0; 1 where all are 0."""
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference, zero_method="zsplit").pvalue)


def _find_cliques(ranks: np.ndarray, same: np.ndarray) -> list[tuple[int, ...]]:
    order = np.argsort(ranks, kind="stable")
    found: list[tuple[int, ...]] = []
    reached = 0
    for start in range(len(order)):
        stop = start + 1
        while stop < len(order) and same[order[stop], order[start:stop]].all():
            stop += 1
        if stop - start > 1 and stop > reached:
            found.append(tuple(int(i) for i in order[start:stop]))
        reached = max(reached, stop)
    return found
