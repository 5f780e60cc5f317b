"""Many series in one long table: a row for each point, which says in columns whose it is and when it was.

Works on pandas and polars data frames, neither of which is imported here.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vetime_plugins._long_table import LongTable
from vetime_plugins._progress import Progress
from vetime_plugins.errors import InputError
from vetime_plugins.series.guards import warn_of_doubtful, warn_outside
from vetime_plugins.series.inputs import Series
from vetime_plugins.thresholds import check_contamination, check_rule, find_threshold

if TYPE_CHECKING:
    from vetime_plugins.pipeline import VETimePipeline

__all__ = ["Group", "group_rows", "incidents_long", "score_groups", "score_long"]

Frame = TypeVar("Frame")

_SHOWN = 5  # rows, of which an error tells


@dataclass(frozen=True, eq=False)
class Group:
    """One series of a long table.

    Attributes
    ----------
    id : hashable
    rows : ndarray of shape (n,), int
        Positions of its points in the table, in the order of time.
    """

    id: Hashable
    rows: NDArray[np.intp]


def score_long(
    frame: Frame,
    *,
    id: str,
    time: str | None,
    values: str | Sequence[str] | None = None,
    pipeline: VETimePipeline | None = None,
    readout: str | None = None,
    threshold: str | float = "auto",
    contamination: float = 0.1,
    n_jobs: int | None = None,
    progress: Progress = False,
) -> Frame:
    """Score every row of a long table, series by series.

    Parameters
    ----------
    frame : pandas.DataFrame or polars.DataFrame
        A row for each point of each series, in any order. It is not changed.
    id : str
        Column that says which series a row belongs to: text, numbers, categories, ... In pandas also a level
        of the index.
    time : str or None
        Column of times (dates, durations or numbers), or level of the index. A series is sorted by it. None:
        its rows are in order as they come.
    values : str or sequence of str, optional
        Columns of the variables; every other one where left out. Each must then be numeric and must not look
        like labels, time stamps or a row counter. A missing value is a gap, which is bridged.
    pipeline : VETimePipeline, optional
        The bundled weights ``"small"`` where left out.
    readout : {"point", "window"}, optional
        Sharp scores, or scores averaged over the period; the checkpoint's default if omitted.
    threshold : {"auto", "quantile", "std", "pot"} or float, default "auto"
        Rule of `vetime_plugins.thresholds.find_threshold`, applied to each series by itself.
    contamination : float in (0, 0.5], default 0.1
        Share of anomalous points in each series that ``threshold="quantile"`` expects.
    n_jobs : int, optional
        Processes, see `VETimePipeline.score`.
    progress : bool or callable
        See `VETimePipeline.score`.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame
        `frame` with two more columns: ``score``, float64 in [0, 1], and ``anomaly``, bool. Rows, their order
        and the index are those of `frame`.

    Raises
    ------
    InputError
        If a column is missing or unfit, an id or a time is missing, two rows have the same id and time, a
        value is infinite, or `frame` has a column ``score`` or ``anomaly`` already.

    Warns
    -----
    InputWarning
        Once for each kind of doubt, naming the first series that it is about.

    Notes
    -----
    Series are batched together and get the scores that each would get alone. A variable without any value in
    one of the series counts as constant there.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from vetime_plugins.long_format import score_long
    >>> day = np.sin(np.arange(200) / 4)
    >>> frame = pd.DataFrame({
    ...     "machine": ["a"] * 200 + ["b"] * 200,
    ...     "hour": [*range(200), *range(200)],
    ...     "load": [*day, *(day + (np.arange(200) == 120))],
    ... })
    >>> scored = score_long(frame, id="machine", time="hour")
    >>> list(scored.columns)
    ['machine', 'hour', 'load', 'score', 'anomaly']
    >>> scored.loc[scored["score"].idxmax(), ["machine", "hour"]].tolist()
    ['b', 120]
    """
    check_rule(threshold)
    check_contamination(contamination)
    table = LongTable(frame)
    names = table.variables(values, id, time)
    groups = group_rows(table.ids(id), None if time is None else table.times(time), id=id, time=time)
    scores, anomalies, _ = score_groups(
        groups,
        table.numbers(names),
        names,
        pipeline=pipeline,
        readout=readout,
        threshold=threshold,
        contamination=contamination,
        n_jobs=n_jobs,
        progress=progress,
    )
    return table.with_columns(score=scores, anomaly=anomalies)


def incidents_long(
    frame: Frame,
    *,
    id: str,
    time: str | None,
    values: str | Sequence[str] | None = None,
    threshold: str | float = "auto",
    contamination: float = 0.1,
) -> Frame:
    """Return the incidents of every series in a long table that has been scored.

    Parameters
    ----------
    frame : pandas.DataFrame or polars.DataFrame
        What `score_long` returned: only its column ``score`` is needed besides the others.
    id, time, values
        As for `score_long`.
    threshold, contamination
        As for `score_long`; a rule is applied to each series by itself.

    Returns
    -------
    pandas.DataFrame or polars.DataFrame
        A row for each incident, the most severe first: the `id` column; ``start``, ``end`` (the last step,
        inclusive) and ``peak`` as times, or positions in the series where there are none; ``steps``,
        ``severity``, ``kind``, and ``variables``, a list with the one that contributes most first.

    Raises
    ------
    InputError
        As `score_long` does, or if there is no column ``score``.

    See Also
    --------
    vetime_plugins.find_incidents : The same for one series, with more to choose.
    """
    from vetime_plugins.incidents import find_incidents

    check_rule(threshold)
    check_contamination(contamination)
    table = LongTable(frame, scored=True)
    names = table.variables(values, id, time)
    ids, numbers, scores = table.ids(id), table.numbers(names), table.numbers(["score"])[:, 0]
    groups = group_rows(ids, None if time is None else table.times(time), id=id, time=time)
    moments = None if time is None else table.objects(time)
    found: dict[str, list[Any]] = {
        name: [] for name in (id, "start", "end", "peak", "steps", "severity", "kind", "variables")
    }
    rows = []
    for group in groups:
        columns = numbers[group.rows]
        for one in find_incidents(
            scores[group.rows],
            np.where(np.isnan(columns).all(axis=0), 0.0, columns),
            threshold=threshold,
            contamination=contamination,
            index=None if moments is None else [moments[row] for row in group.rows],
            names=names,
        ):
            rows.append((group.id, one))
    rows.sort(key=lambda row: -row[1].severity)
    for series, one in rows:
        found[id].append(series)
        for name in ("start", "end", "peak"):
            moment = getattr(one, f"{name}_time")
            found[name].append(getattr(one, name) if moment is None else moment)
        for name in ("steps", "severity", "kind"):
            found[name].append(getattr(one, name))
        found["variables"].append([variable.name for variable in one.variables])
    make: Any = type(frame)
    return make(found)


def group_rows(
    ids: Sequence[Hashable], times: NDArray[Any] | None, *, id: str = "id", time: str | None = "time"
) -> list[Group]:
    """Part the rows of a table into series, each in the order of time.

    Parameters
    ----------
    ids : sequence of n hashable objects
    times : ndarray of shape (n,), optional
        Sortable and without gaps. Left out, rows are in order as they come.
    id, time : str
        How errors call them.

    Returns
    -------
    list of Group
        In the order in which the series first appear.

    Raises
    ------
    InputError
        If two rows have the same id and time.
    """
    if not len(ids):
        raise InputError("the table needs at least one row, got none.")
    known: dict[Hashable, int] = {}
    codes = np.array([known.setdefault(one, len(known)) for one in ids])
    order = np.argsort(codes, kind="stable") if times is None else np.lexsort((times, codes))
    if times is not None:
        first, second = order[:-1], order[1:]
        twice = np.flatnonzero((codes[first] == codes[second]) & (times[first] == times[second]))
        if len(twice):
            shown = "; ".join(
                f"rows {first[i]} and {second[i]} ({id} {ids[first[i]]!r}, {time} {times[first[i]]})"
                for i in twice[:_SHOWN]
            )
            more = f" and {len(twice) - _SHOWN} more" if len(twice) > _SHOWN else ""
            raise InputError(
                f"a series needs one row for each time, but {shown}{more} have the same {id} and {time} "
                "(rows are counted from 0). Drop or average them."
            )
    bounds = np.cumsum(np.bincount(codes, minlength=len(known)))[:-1]
    return [Group(one, rows) for one, rows in zip(known, np.split(order, bounds), strict=True)]


def score_groups(
    groups: Sequence[Group],
    values: NDArray[np.float64],
    names: Sequence[str],
    *,
    pipeline: VETimePipeline | None = None,
    readout: str | None = None,
    threshold: str | float = "auto",
    contamination: float = 0.1,
    n_jobs: int | None = None,
    progress: Progress = False,
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[float]]:
    """Score the series of a table.

    Parameters
    ----------
    groups : sequence of Group
        Together they hold every row once.
    values : float64 ndarray of shape (n, C)
        The whole table; NaN marks gaps.
    names : sequence of str
        Names of the C variables.
    pipeline, readout, threshold, contamination, n_jobs, progress
        As for `score_long`.

    Returns
    -------
    scores : float64 ndarray of shape (n,)
        On the rows of the table.
    anomalies : bool ndarray of shape (n,)
    thresholds : list of float
        One for each series.

    Raises
    ------
    InputError
        If a value is infinite.
    """
    infinite = np.argwhere(np.isinf(values))
    if len(infinite):
        row, column = infinite[0]
        raise InputError(
            f"the table needs finite or missing values, got {len(infinite)} infinite, the first in row {row} "
            f"of column {names[column]!r}. Replace them by a missing value, or by the sensor's limit."
        )
    all_series = []
    for group in groups:
        columns = values[group.rows]
        silent = np.isnan(columns).all(axis=0)
        all_series.append(
            Series.from_columns(np.where(silent, 0.0, columns), names=tuple(names), checked=False)
        )
    warn_of_doubtful(all_series, ids=[group.id for group in groups])
    if pipeline is None:
        from vetime_plugins.pipeline import cached_pipeline  # imports torch

        pipeline = cached_pipeline()
    looked_at = [one.as_checked() for one in all_series]
    found = pipeline.score(looked_at, readout=readout, n_jobs=n_jobs, progress=progress)
    scores, anomalies = np.empty(len(values)), np.empty(len(values), dtype=bool)
    thresholds = []
    with warnings.catch_warnings(record=True) as caught:  # one for each series that nothing is flagged in
        warnings.simplefilter("always")
        for group, one in zip(groups, found, strict=True):
            thresholds.append(find_threshold(one, threshold, contamination=contamination))
            scores[group.rows], anomalies[group.rows] = one, one > thresholds[-1]
    if caught:
        warn_outside(
            f"the {threshold!r} threshold is above every score in {len(caught)} of {len(groups)} series, so "
            "nothing is flagged there; use threshold='auto' or a number"
        )
    return scores, anomalies, thresholds
