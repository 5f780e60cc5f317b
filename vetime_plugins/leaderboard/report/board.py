"""The cells of a run laid out as one table of series and detectors, with every gap accounted for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.evaluation import Summary, summarise
from vetime_plugins.leaderboard.metrics import METRIC_NAMES
from vetime_plugins.leaderboard.rows import Row

if TYPE_CHECKING:
    from vetime_plugins.leaderboard.results import Cell

__all__ = ["FAILURES", "NOT_RUN", "Board", "SeriesKey", "build_board"]

FAILURES = ("ERROR", "TIMEOUT", "OOM")
NOT_RUN = "NOT RUN"

Missing = Literal["leave-out", "zero"]


class SeriesKey(NamedTuple):
    """What tells a series from the others."""

    dataset: str
    name: str


@dataclass(frozen=True, eq=False)
class Board:
    """Detectors and series that are compared, and the values of every metric.

    Attributes
    ----------
    cells : dict
        From detector and series to the result; without those that were not run.
    detectors : tuple of str
        Best first: by the mean over data sets of `metric`, equal ones by name.
    series : tuple of SeriesKey
        That are compared, sorted.
    metrics : tuple of str
        In the order in which `evaluate` reports them, then by name.
    metric : str
        The one that detectors are ordered by.
    left_out : tuple of SeriesKey
        Series that some detector was not run on and that are not compared for that reason.
    """

    cells: dict[tuple[str, SeriesKey], Cell]
    detectors: tuple[str, ...]
    series: tuple[SeriesKey, ...]
    metrics: tuple[str, ...]
    metric: str
    left_out: tuple[SeriesKey, ...] = ()
    _values: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    _summaries: dict[str, Summary] = field(default_factory=dict, repr=False)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets that are compared, sorted."""
        return tuple(sorted({key.dataset for key in self.series}))

    def values(self, metric: str | None = None) -> np.ndarray:
        """Return what every detector's result counts in a metric.

        Parameters
        ----------
        metric : str, optional
            `metric` where left out.

        Returns
        -------
        numpy.ndarray of float64, shape (n_series, n_detectors)
            A row is NaN where the metric is undefined on the series. A cell without a value in a row where
            other detectors have one counts as 0, the worst there is: a failure, or a detector that was not
            run.
        """
        name = metric or self.metric
        if name not in self._values:
            self._values[name] = np.array(
                [self._row(name, key) for key in self.series], dtype=np.float64
            ).reshape(len(self.series), len(self.detectors))
        return self._values[name]

    def defined(self, metric: str | None = None) -> np.ndarray:
        """Return the rows of `values` without NaN, shape (n_defined, n_detectors)."""
        values = self.values(metric)
        return values[~np.isnan(values).any(axis=1)]

    def rows(self, detector: str, metrics: Sequence[str] | None = None) -> list[Row]:
        """Return the values of one detector as rows of an evaluation.

        Parameters
        ----------
        detector : str
        metrics : sequence of str, optional
            All where left out.

        Returns
        -------
        list of Row
            One a series. All have the status "OK": `values` has already said what a failure counts.
        """
        column = self.detectors.index(detector)
        names = self.metrics if metrics is None else metrics
        arrays = {name: self.values(name)[:, column] for name in names}
        return [
            Row(
                detector=detector,
                dataset=key.dataset,
                file=key.name,
                n_points=0,
                n_test=0,
                n_variables=0,
                buffer=0,
                metrics={name: float(values[i]) for name, values in arrays.items()},
            )
            for i, key in enumerate(self.series)
        ]

    def summary(self, detector: str) -> Summary:
        """Return a detector's means over the series of each data set and over data sets."""
        if detector not in self._summaries:
            self._summaries[detector] = summarise(self.rows(detector))
        return self._summaries[detector]

    def status(self, detector: str, key: SeriesKey) -> str:
        """Return "OK", "ERROR", "TIMEOUT", "OOM" or "NOT RUN"."""
        cell = self.cells.get((detector, key))
        return NOT_RUN if cell is None else cell.status

    def counts(self, detector: str) -> dict[str, int]:
        """Return how many cells of a detector have which status, in compared and left out series."""
        found = Counter(self.status(detector, key) for key in (*self.series, *self.left_out))
        return {status: found[status] for status in ("OK", *FAILURES, NOT_RUN)}

    def of(self, detector: str) -> list[Cell]:
        """Return the cells of a detector, in compared and left out series."""
        keys = ((detector, key) for key in (*self.series, *self.left_out))
        return [self.cells[key] for key in keys if key in self.cells]

    def seconds(self, detector: str) -> float:
        """Return the mean time in seconds to fit and score a series, over those that succeeded; or NaN."""
        sums = [_seconds(cell) for cell in self.of(detector) if cell.status == "OK"]
        times = [seconds for seconds in sums if not math.isnan(seconds)]
        return math.fsum(times) / len(times) if times else math.nan

    def undefined(self) -> dict[tuple[str, str], list[SeriesKey]]:
        """Return the series that metrics are undefined on, by metric and reason."""
        found: dict[tuple[str, str], list[SeriesKey]] = {}
        for metric in self.metrics:
            blank = np.isnan(self.values(metric)).any(axis=1)
            for i in np.flatnonzero(blank):
                key = self.series[i]
                found.setdefault((metric, self._reason(metric, key)), []).append(key)
        return found

    def _row(self, metric: str, key: SeriesKey) -> list[float]:
        found = [_read(self.cells.get((detector, key)), metric) for detector in self.detectors]
        if all(math.isnan(value) for value in found) and self._is_undefined(metric, key):
            return found
        return [0.0 if math.isnan(value) else value for value in found]

    def _is_undefined(self, metric: str, key: SeriesKey) -> bool:
        """Whether it is the labels' fault that no detector has a value, rather than the detectors'."""
        cells = (self.cells.get((detector, key)) for detector in self.detectors)
        return any(cell is not None and (cell.status == "OK" or metric in cell.undefined) for cell in cells)

    def _reason(self, metric: str, key: SeriesKey) -> str:
        cells = (self.cells.get((detector, key)) for detector in self.detectors)
        reasons = (cell.undefined.get(metric) for cell in cells if cell is not None)
        return next((reason for reason in reasons if reason), "no reason recorded")


def build_board(cells: Iterable[Cell], *, metric: str = "VUS-PR", missing: Missing = "leave-out") -> Board:
    """Lay out the results of a run.

    Parameters
    ----------
    cells : iterable of Cell
        See `read_cells`.
    metric : str, default "VUS-PR"
        To order the detectors by.
    missing : {"leave-out", "zero"}, default "leave-out"
        What to do with series that some detectors were not run on: compare the others only, or count what
        was not run as 0.

    Returns
    -------
    Board

    Raises
    ------
    InputError
        If there are no cells, one occurs twice, none has the metric, or no series has been run with every
        detector and `missing` is "leave-out".
    """
    table: dict[tuple[str, SeriesKey], Cell] = {}
    for cell in cells:
        where = cell.detector, SeriesKey(cell.dataset, cell.series)
        if where in table:
            raise InputError(
                f"{cell.detector} has two results on {cell.dataset}/{cell.series}; keep the results of "
                "different tasks in different folders"
            )
        table[where] = cell
    if not table:
        raise InputError("there are no results to report")
    names = sorted({detector for detector, _ in table})
    every = sorted({key for _, key in table})
    complete = [key for key in every if all((name, key) in table for name in names)]
    if missing not in ("leave-out", "zero"):
        raise InputError(f'missing must be "leave-out" or "zero", got {missing!r}')
    if missing == "zero":
        compared = every
    elif complete:
        compared = complete
    else:
        fewest = min(names, key=lambda name: (sum((name, key) in table for key in every), name))
        raise InputError(
            f"no series has been run with every detector ({fewest} has the fewest); finish the run, or count "
            "what was not run as 0 with --missing zero"
        )
    metrics = _find_metrics(table.values(), metric)
    shown = set(compared)
    left_out = tuple(key for key in every if key not in shown)
    unordered = Board(table, tuple(names), tuple(compared), metrics, metric, left_out)
    means = {name: unordered.summary(name).mean[metric] for name in names}
    ordered = sorted(names, key=lambda name: (math.isnan(means[name]), -means[name], name))
    return Board(table, tuple(ordered), tuple(compared), metrics, metric, left_out)


def _find_metrics(cells: Iterable[Cell], metric: str) -> tuple[str, ...]:
    found = {name for cell in cells for name in cell.metrics}
    if not found:  # every cell has failed before a metric was taken
        if metric not in METRIC_NAMES:
            raise InputError(f"no metric {metric}; there are {', '.join(METRIC_NAMES)}")
        return (metric,)
    if metric not in found:
        raise InputError(f"no result holds the metric {metric}, only {', '.join(sorted(found))}")
    known = [name for name in METRIC_NAMES if name in found]
    return (*known, *sorted(found - set(known)))


def _read(cell: Cell | None, metric: str) -> float:
    if cell is None or cell.status != "OK":
        return math.nan
    value = cell.metrics.get(metric)
    return math.nan if value is None else float(value)


def _seconds(cell: Cell) -> float:
    """Return fit and score together; a detector that has nothing to fit may leave one of them out."""
    known = [seconds for seconds in (cell.fit_seconds, cell.score_seconds) if not math.isnan(seconds)]
    return math.fsum(known) if known else math.nan
