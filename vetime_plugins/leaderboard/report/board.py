"""The cells of a run laid out as one table of series and detectors, with every gap accounted for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.summary import SeriesKey, Summary, by_detector
from vetime_plugins.metrics import METRIC_NAMES

if TYPE_CHECKING:
    from vetime_plugins.leaderboard.results import Cell

__all__ = ["FAILURES", "NOT_RUN", "Board", "Kind", "SeriesKey", "build_board", "find_kind"]

FAILURES = ("ERROR", "TIMEOUT", "OOM")
NOT_RUN = "NOT RUN"
_DECIMALS = 6  # of a metric in [0, 1]

Missing = Literal["leave-out", "zero"]
Kind = Literal["univariate", "multivariate"]


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
        Not compared, since some detector was not run on them.
    unmeasured : tuple of str
        Taken from only some of the scores: of them there are means alone, of the detectors that have them.
    """

    cells: dict[tuple[str, SeriesKey], Cell]
    detectors: tuple[str, ...]
    series: tuple[SeriesKey, ...]
    metrics: tuple[str, ...]
    metric: str
    left_out: tuple[SeriesKey, ...] = ()
    unmeasured: tuple[str, ...] = ()
    _values: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    _summaries: dict[str, Summary] = field(default_factory=dict, repr=False)

    @property
    def datasets(self) -> tuple[str, ...]:
        """Names of the data sets that are compared, sorted."""
        return tuple(sorted({key.dataset for key in self.series}))

    def values(self, metric: str | None = None) -> np.ndarray:
        """Return what every result counts in a metric (`metric` where left out), (n_series, n_detectors).

        A row is NaN where the metric is undefined on the series. A cell without a value in a row where other
        detectors have one counts as 0, the worst there is: a failure, or a detector that was not run. Rounded
        to a millionth: the same model run through two frameworks gives metrics that differ in the last
        digits, and ranks and signed-rank tests see a difference's sign before its size.
        """
        name = metric or self.metric
        if name not in self._values:
            rows = [self._row(name, key) for key in self.series]
            table = np.array(rows, dtype=np.float64).reshape(len(self.series), len(self.detectors))
            self._values[name] = table.round(_DECIMALS)
        return self._values[name]

    def defined(self, metric: str | None = None) -> np.ndarray:
        """Return the rows of `values` that are not NaN, shape (n_defined, n_detectors)."""
        values = self.values(metric)
        return values[~np.isnan(values).any(axis=1)]

    def summary(self, detector: str) -> Summary:
        """Return a detector's means over the series of each data set and over data sets."""
        if detector not in self._summaries:
            column = self.detectors.index(detector)
            self._summaries[detector] = Summary.of(
                [key.dataset for key in self.series],
                {name: self.values(name)[:, column] for name in self.metrics},
            )
        return self._summaries[detector]

    def means(self, metric: str) -> dict[str, float]:
        """Return the mean over data sets in a metric of every detector, or of those that it was taken of."""
        if metric in self.metrics:
            return {name: self.summary(name).mean[metric] for name in self.detectors}
        taken = metric in self.unmeasured
        mine = tuple(name for name in self.detectors if taken and self.measured(name, metric))
        board = replace(self, detectors=mine, metrics=(metric,), _values={}, _summaries={})
        return {name: board.summary(name).mean[metric] for name in mine}

    @property
    def every_series(self) -> tuple[SeriesKey, ...]:
        """Series of the folder, compared and left out."""
        return (*self.series, *self.left_out)

    def status(self, detector: str, key: SeriesKey) -> str:
        """Return "OK", "ERROR", "TIMEOUT", "OOM" or "NOT RUN"."""
        cell = self.cells.get((detector, key))
        return NOT_RUN if cell is None else cell.status

    def counts(self, detector: str) -> Counter[str]:
        """Return how many cells of a detector have which status, in compared and left out series."""
        found = Counter(self.status(detector, key) for key in self.every_series)
        return Counter({status: found[status] for status in ("OK", *FAILURES, NOT_RUN)})

    def count_undefined(self, detector: str) -> int:
        """Return on how many series a detector succeeded without a value of `metric`."""
        cells = self.of(detector)
        return sum(cell.status == "OK" and math.isnan(_read(cell, self.metric)) for cell in cells)

    def of(self, detector: str) -> list[Cell]:
        """Return the cells of a detector, in compared and left out series."""
        keys = ((detector, key) for key in self.every_series)
        return [self.cells[key] for key in keys if key in self.cells]

    def on(self, key: SeriesKey) -> list[Cell]:
        """Return the cells of a series, of the detectors that were run on it."""
        return [self.cells[name, key] for name in self.detectors if (name, key) in self.cells]

    def every_cell(self) -> list[Cell]:
        """Return all cells, detector by detector, in compared and left out series."""
        return [cell for name in self.detectors for cell in self.of(name)]

    def seconds(self, detector: str) -> float:
        """Return the mean time in seconds to fit and score a compared series that succeeded; or NaN."""
        cells = (self.cells.get((detector, key)) for key in self.series)
        sums = (_seconds(cell) for cell in cells if cell is not None and cell.status == "OK")
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

    def by_kind(self) -> dict[Kind, Board]:
        """Split the series of the folder into univariate and multivariate ones; a folder may have one kind.

        Each board is of `metric` alone, with every series of the kind and only those detectors that were run
        on all of them, which may be none.
        """
        boards: dict[Kind, Board] = {}
        kinds: tuple[Kind, ...] = ("univariate", "multivariate")
        for kind in kinds:
            keys = sorted({key for (_, key), cell in self.cells.items() if find_kind(cell) == kind})
            complete = [name for name in self.detectors if all((name, key) in self.cells for key in keys)]
            if keys:
                boards[kind] = Board(self.cells, tuple(complete), tuple(keys), (self.metric,), self.metric)
        return boards

    def with_others(self, cells: Iterable[Cell]) -> Board:
        """Return the same series and metrics with the results of other detectors too, which come last."""
        table = {(name, key): one for name, group in by_detector(cells).items() for key, one in group.items()}
        names = dict.fromkeys((*self.detectors, *sorted({name for name, _ in table})))
        return replace(self, cells={**table, **self.cells}, detectors=tuple(names), _values={}, _summaries={})

    def measured(self, detector: str, metric: str) -> bool:
        """Return whether a detector was run on every compared series, and the metric taken of its scores."""
        cells = [self.cells.get((detector, key)) for key in self.series]
        return all(cell is not None and (cell.failed or metric in cell.metrics) for cell in cells)

    def _row(self, metric: str, key: SeriesKey) -> list[float]:
        found = [_read(self.cells.get((detector, key)), metric) for detector in self.detectors]
        # Without any value it is the labels' fault, not the detectors', if one had scores or says so.
        if np.isnan(found).all() and any(c.status == "OK" or metric in c.undefined for c in self.on(key)):
            return found
        return [0.0 if math.isnan(value) else value for value in found]

    def _reason(self, metric: str, key: SeriesKey) -> str:
        reasons = (cell.undefined.get(metric) for cell in self.on(key))
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
        If there are no cells, one occurs twice, one with scores lacks the metric, or no series has been run
        with every detector and `missing` is "leave-out".
    """
    if missing not in ("leave-out", "zero"):
        raise InputError(f'missing must be "leave-out" or "zero", got {missing!r}')
    table = {(name, key): cell for name, group in by_detector(cells).items() for key, cell in group.items()}
    if not table:
        raise InputError("there are no results to report")
    names = sorted({detector for detector, _ in table})
    every = sorted({key for _, key in table})
    compared = every if missing == "zero" else [k for k in every if all((name, k) in table for name in names)]
    if not compared:
        raise InputError(_explain_nothing_in_common(table, names, every))
    metrics, unmeasured = _find_metrics(table.values(), metric)
    shown = set(compared)
    left_out = tuple(key for key in every if key not in shown)
    unordered = Board(table, tuple(names), tuple(compared), metrics, metric, left_out, unmeasured)
    means = {name: unordered.summary(name).mean[metric] for name in names}
    ordered = sorted(names, key=lambda name: (math.isnan(means[name]), -means[name], name))
    return Board(table, tuple(ordered), tuple(compared), metrics, metric, left_out, unmeasured)


def find_kind(cell: Cell) -> Kind:
    """Return whether a cell is of a series of one variable or of several."""
    return "univariate" if cell.n_variables == 1 else "multivariate"


def _explain_nothing_in_common(
    table: Mapping[tuple[str, SeriesKey], Cell], names: Sequence[str], every: Sequence[SeriesKey]
) -> str:
    counts = {name: sum((name, key) in table for key in every) for name in names}
    fewest = min(names, key=lambda name: (counts[name], name))
    kinds = {find_kind(cell) for cell in table.values()}
    other = "report one kind with --only univariate or --only multivariate, " if len(kinds) > 1 else ""
    return (
        f"no series has been run with every detector ({fewest} has the fewest: {counts[fewest]} of "
        f"{len(every)}); finish the run, {other}or count what was not run as 0 with --missing zero"
    )


def _find_metrics(cells: Iterable[Cell], metric: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the metrics that every cell with scores has, and those that only some have."""
    cells = list(cells)
    found = {name for cell in cells for name in cell.metrics}
    if not found:  # every cell has failed before a metric was taken
        if metric not in METRIC_NAMES:
            raise InputError(f"no metric {metric}; there are {', '.join(METRIC_NAMES)}")
        return (metric,), ()
    if metric not in found:
        raise InputError(f"no result holds the metric {metric}, only {', '.join(sorted(found))}")
    # Not in the cell at all: nobody has measured it, which says nothing about the detector.
    lacking = {name: cell for cell in cells if cell.status == "OK" for name in found - set(cell.metrics)}
    if metric in lacking:
        cell = lacking[metric]
        raise InputError(
            f"{cell.detector} on {cell.dataset}/{cell.series} was measured without {metric}; take the "
            "metrics again with: vetime leaderboard metrics DIR"
        )
    known = [name for name in METRIC_NAMES if name in found]
    ordered = (*known, *sorted(found - set(known)))
    return tuple(n for n in ordered if n not in lacking), tuple(n for n in ordered if n in lacking)


def _read(cell: Cell | None, metric: str) -> float:
    if cell is None or cell.status != "OK":
        return math.nan
    value = cell.metrics.get(metric)
    return math.nan if value is None else float(value)


def _seconds(cell: Cell) -> float:
    """Return fit and score together; a detector that has nothing to fit may leave one of them out."""
    known = [seconds for seconds in (cell.fit_seconds, cell.score_seconds) if not math.isnan(seconds)]
    return math.fsum(known) if known else math.nan
