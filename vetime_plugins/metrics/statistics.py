"""Statistics over metrics: means over data sets, the paired bootstrap, ranks, wins and tests.

Values are tables: a row is a series, a column a detector, higher is better.

References
----------
.. [1] J. Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006.
.. [2] A. Benavoli, G. Corani, F. Mangili, "Should we really use post-hoc tests based on mean-ranks?",
   JMLR 17, 2016. It is why pairs are compared by Wilcoxon's test: Nemenyi's answer about two detectors
   changes with the other detectors in the table.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from vetime_plugins.errors import InputError, MissingDependencyError

__all__ = [
    "Comparison",
    "PairedDifference",
    "Wins",
    "average_ranks",
    "compare_all",
    "count_wins",
    "group_means",
    "paired_bootstrap",
]


def group_means(values: ArrayLike, groups: Sequence[str]) -> tuple[dict[str, float], float]:
    """Return the mean within each group, and the mean of those means.

    A data set with many series so counts like one with few.

    Parameters
    ----------
    values : array-like of shape (n_series,)
        NaN where nothing is defined; such a series is left out.
    groups : sequence of str, length n_series
        Data set of each series.

    Returns
    -------
    dict of str to float
        By group, sorted; NaN where nothing is defined in the group.
    float
        Over the groups that are not NaN.

    Examples
    --------
    >>> group_means([0.25, 0.75, 1.0], ["A", "A", "B"])
    ({'A': 0.5, 'B': 1.0}, 0.75)
    """
    members: dict[str, list[float]] = {name: [] for name in sorted(set(groups))}
    for value, group in zip(np.asarray(values, dtype=np.float64).tolist(), groups, strict=True):
        members[group].append(value)
    means = {name: _mean(found) for name, found in members.items()}
    return means, _mean(list(means.values()))


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

    @property
    def has_interval(self) -> bool:
        """Whether there was anything to draw: some data set with more than one series."""
        return self.n_series > self.n_datasets


def paired_bootstrap(
    values: ArrayLike,
    others: ArrayLike,
    groups: Sequence[str],
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedDifference:
    """Bootstrap the difference between two detectors in the mean over data sets.

    Parameters
    ----------
    values, others : array-like of shape (n_series,)
        Of both detectors on the same series. A series on which either is NaN is left out.
    groups : sequence of str, length n_series
        Data set of each series.
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
        If `level` or `n_resamples` is out of range, or no series is left.

    Notes
    -----
    Percentile interval. Series are drawn with replacement within each data set, always both detectors'
    values of a series together, so that what makes a series hard for both cancels. Data sets are not drawn:
    the interval is about other series of the same kinds, not about other kinds.

    Examples
    --------
    >>> found = paired_bootstrap([0.9, 0.8, 0.7], [0.7, 0.6, 0.5], ["A", "A", "B"])
    >>> round(found.difference, 6), found.n_series, found.n_datasets
    (0.2, 3, 2)
    """
    if not (0 < level < 1) or n_resamples < 1:
        raise InputError(f"level must lie in (0, 1) and n_resamples be >= 1, got {level} and {n_resamples}")
    gains = np.asarray(values, dtype=np.float64) - np.asarray(others, dtype=np.float64)
    names = np.asarray(groups)
    kept = ~np.isnan(gains)
    if not kept.any():
        raise InputError("no series has a value of both detectors; there is nothing to compare")
    generator = np.random.default_rng(seed)
    observed, resampled = [], []
    for name in np.unique(names[kept]):
        differences = gains[kept & (names == name)]
        observed.append(differences.mean())
        drawn = generator.integers(0, differences.size, (n_resamples, differences.size))
        resampled.append(differences[drawn].mean(axis=1))
    low, high = np.quantile(np.mean(resampled, axis=0), [(1 - level) / 2, (1 + level) / 2])
    return PairedDifference(float(np.mean(observed)), float(low), float(high), int(kept.sum()), len(observed))


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Return each detector's rank, averaged over series.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_series, n_detectors)
        Higher is better; without NaN.

    Returns
    -------
    numpy.ndarray of shape (n_detectors,)
        1 is best; detectors with equal values share the mean of their ranks. NaN without series.

    Examples
    --------
    >>> average_ranks(np.array([[0.9, 0.5, 0.5], [0.2, 0.4, 0.1]])).tolist()
    [1.5, 1.75, 2.75]
    """
    if not len(values):
        return np.full(values.shape[1], math.nan)
    return stats.rankdata(-values, axis=1).mean(axis=0)


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
    """Compare every detector with every other one, by values (n_series, n_detectors): higher wins; no NaN.

    Parameters
    ----------
    values : numpy.ndarray of shape (n_series, n_detectors)

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
    ranks : numpy.ndarray of shape (n_detectors,)
        See `average_ranks`.
    friedman_p : float
        Probability, were all detectors equally good, of ranks that differ as much. NaN where the test does
        not apply: fewer than three detectors, fewer than two series, or all values equal.
    p_values : numpy.ndarray of shape (n_detectors, n_detectors)
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
    values : numpy.ndarray of shape (n_series, n_detectors)
        Higher is better; without NaN.
    level : float, default 0.05
        Probability below which a difference counts as one.

    Returns
    -------
    Comparison

    Raises
    ------
    MissingDependencyError
        If statsmodels is not installed.
    """
    try:
        from statsmodels.stats.multitest import multipletests
    except ImportError as error:
        raise MissingDependencyError(
            'comparing detectors needs statsmodels>=0.14; run: pip install "vetime-plugins[report]"'
        ) from error
    n_series, n_detectors = values.shape
    ranks = average_ranks(values)
    friedman = math.nan
    if n_detectors >= 3 and n_series >= 2 and (values != values[:, :1]).any():
        friedman = float(stats.friedmanchisquare(*values.T).pvalue)
    first, second = np.triu_indices(n_detectors, 1)
    p_values = np.ones((n_detectors, n_detectors))
    if first.size:
        raw = [_wilcoxon(values[:, i] - values[:, j]) for i, j in zip(first, second, strict=True)]
        p_values[first, second] = p_values[second, first] = multipletests(raw, method="holm")[1]
    return Comparison(ranks, friedman, p_values, _find_cliques(ranks, p_values > level), n_series, level)


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return math.fsum(defined) / len(defined) if defined else math.nan


def _wilcoxon(difference: np.ndarray) -> float:
    """Return the p-value that the differences (n_series,) are centred on 0; 1 where all are 0."""
    if not difference.any():
        return 1.0
    return float(stats.wilcoxon(difference, zero_method="zsplit").pvalue)


def _find_cliques(ranks: np.ndarray, same: np.ndarray) -> list[tuple[int, ...]]:
    """Return the runs of `Comparison.cliques`.

    Libraries draw a bar over the span of every maximal clique, and so over detectors in between that do
    differ from some of its members; the members of a run are all that lies below its bar.
    """
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
