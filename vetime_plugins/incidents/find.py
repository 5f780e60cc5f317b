"""From scores to incidents."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vetime_plugins._arguments import as_plain, check_whole
from vetime_plugins.errors import InputError
from vetime_plugins.incidents import sensors
from vetime_plugins.incidents.expected import expect
from vetime_plugins.incidents.grouping import Stretch, default_gap, doubts, group, join_close
from vetime_plugins.incidents.kinds import extent, likely_kind, lone_steps
from vetime_plugins.incidents.records import Contribution, Incident, Incidents
from vetime_plugins.incidents.relations import breaks_relation
from vetime_plugins.series.inputs import Series, as_series
from vetime_plugins.series.period import find_period
from vetime_plugins.thresholds import check_scores, find_threshold

if TYPE_CHECKING:
    from vetime_plugins.series.types import OneSeries

__all__ = ["find_incidents", "index_of", "names_of"]

_LED_BY = 3  # variables whose courses are looked at
_MARGIN = 64  # steps beyond those of the scores that are looked at first, or a period
_WIDER = 4  # so often they are doubled where the incident goes on


def find_incidents(
    scores: ArrayLike,
    series: OneSeries | Series | None = None,
    *,
    threshold: str | float = "auto",
    contamination: float = 0.1,
    gap: int | None = None,
    variable_scores: ArrayLike | None = None,
    evidence: ArrayLike | None = None,
    index: Sequence[Any] | ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> Incidents:
    """Turn scores into a table of what happened: when, how badly, of what kind, in which variables.

    Parameters
    ----------
    scores : array-like of shape (T,)
        Finite, higher is more anomalous; of any detector.
    series : array-like of shape (T,) or (T, C), optional
        The series that was scored. Its values make start and end exact, tell the kind and, without
        `variable_scores`, the variables. A pandas object also gives the index and the variables' names.
    threshold : str or float, default "auto"
        Rule or number, see `vetime_plugins.thresholds.find_threshold`. Scores above it are anomalous.
    contamination : float in (0, 0.5], default 0.1
        For the rule ``"quantile"`` alone.
    gap : int, optional
        How many quiet steps do not part an incident. By default a quarter of the longest period of the
        series, from 2 to 16, and 8 where there is none.
    variable_scores : array-like of shape (T, C), optional
        Scores in [0, 1] of the variables. Variables are ranked by them and by how far their values went.
    evidence : array-like of shape (T, C), optional
        What to rank the variables by in place of values and `variable_scores`: the logarithm of how
        remarkable each step of each variable is.
    index : sequence of length T, optional
        Time stamps in place of those of `series`.
    names : sequence of str, optional
        The variables' names in place of those of `series`.

    Returns
    -------
    Incidents
        The most severe first. None above the threshold gives an empty table.

    Raises
    ------
    InputError
        If an argument is not what it must be, or the lengths differ.

    Notes
    -----
    The steps of an incident follow from the scores first, and from the values where there are some.

    1. Steps above a lower level with at most `gap` steps between them, of which one is above the threshold,
       are one run. The level is halfway from the median score to the threshold, in logits.
    2. A step that stands out lifts the scores around it, so a run is wider than what happened. Its core is
       what reaches half of its peak's height above the level. What lies behind a
       valley lower than half of the height behind it is another incident.
    3. One to three steps in the core that stand out alone from the values around them are the incident: a
       spike of one step is an incident of one step.
    4. Otherwise, what the values should have been is taken from the places of the series with the most
       similar surroundings. The steps in the core and next to it that differ from that by more than four
       deviations of the noise, and by more than a fifth of the largest difference, are the incident, and so
       is what lies between them. Where nothing differs that much, the core is.
    5. Incidents with at most `gap` steps between them are one.

    Without a series, rules 3 and 4 do not apply.

    `peak` is the step of the highest score in the incident, `severity` that score.

    Examples
    --------
    >>> import numpy as np
    >>> from vetime_plugins import find_incidents
    >>> scores = np.full(100, 0.1)
    >>> scores[40:43] = 0.8, 0.9, 0.8
    >>> scores[70] = 0.95
    >>> [(one.start, one.end, one.peak) for one in find_incidents(scores, threshold=0.5)]
    [(70, 70, 70), (40, 42, 41)]
    """
    points = check_scores(scores)
    one = None if series is None else as_series(series, check_empty=False)
    if one is not None and len(one) != len(points):
        raise InputError(f"needs one score for each step, got {len(points)} scores for {len(one)} steps")
    if gap is None:
        gap = default_gap(None if one is None else one.values)
    check_whole("gap", gap, least=0, meaning="quiet steps that do not part an incident")
    labels: Any = index_of(series) if index is None else index
    if labels is not None and len(labels) != len(points):
        raise InputError(f"index must have one entry for each of the {len(points)} steps, got {len(labels)}")
    named = names_of(series) if names is None else list(names)
    found = _evidence(one, variable_scores, evidence, len(points))
    if named is not None and found is not None and len(named) != found.shape[1]:
        raise InputError(f"names must name each of the {found.shape[1]} variables, got {len(named)} names")
    limit = find_threshold(points, threshold, contamination=contamination)
    stretches = group(points, limit, gap)
    judge = None if one is None else _Judge(one, doubts(points, limit), stretches, gap)
    items = []
    for stretch in _refined(stretches, judge, found, points, gap):
        ranked = () if found is None else _ranked(found, stretch, named)
        kind = None if judge is None else judge.kind(stretch, [one.index for one in ranked])
        peak = stretch.start + int(points[stretch.start : stretch.stop].argmax())
        end = stretch.stop - 1
        times = (None,) * 3 if labels is None else (labels[stretch.start], labels[end], labels[peak])
        items.append(Incident(stretch.start, end, peak, float(points[peak]), kind, ranked, *times))
    items.sort(key=lambda item: (-item.severity, item.start))
    return Incidents(tuple(items), limit, len(points))


class _Judge:
    """What the values say of the stretches that the scores point at."""

    def __init__(self, series: Series, doubt: NDArray[np.int8], stretches: list[Stretch], gap: int) -> None:
        self.series, self.gap, self.doubt = series, gap, doubt
        for one in stretches:
            self.doubt[one.start : one.stop] = 2
        self._periods: dict[int, int] = {}

    def period(self, column: int) -> int:
        """Return the period of a variable in steps; 1 for none."""
        if column not in self._periods:
            self._periods[column] = find_period(self.series.values[:, column])
        return self._periods[column]

    def extent(self, stretch: Stretch, columns: list[int], bounds: tuple[int, int]) -> Stretch:
        """Return the stretch with the steps, within `bounds`, where the values are not what was expected."""
        found = [self._extent_of(column, stretch, bounds) for column in columns[:_LED_BY]]
        spans = [span for span in found if span is not None]
        if not spans:
            return stretch
        return stretch._replace(start=min(a for a, _ in spans), stop=max(b for _, b in spans))

    def _extent_of(self, column: int, stretch: Stretch, bounds: tuple[int, int]) -> tuple[int, int] | None:
        x, period, core = self.series.values[:, column], self.period(column), (stretch.start, stretch.stop)
        alone = lone_steps(x, core, self.gap)
        if alone is not None:
            return alone
        margin, found = max(_MARGIN, period), None
        for _ in range(_WIDER):
            low, high = max(bounds[0], core[0] - margin), min(bounds[1], core[1] + margin)
            found = extent(expect(x, self.doubt, low, high, period), low, high, core, self.gap)
            open_left = found is not None and found[0] - low <= self.gap and low > bounds[0]
            open_right = found is not None and high - found[1] <= self.gap and high < bounds[1]
            if not open_left and not open_right:
                break
            margin *= 2  # it goes on beyond what was looked at
        if found is None:  # a short series holds nothing as long as that to compare with
            found = extent(expect(x, self.doubt, *core, period), *core, core, self.gap)
        return found

    def kind(self, stretch: Stretch, columns: list[int]) -> str:
        """Return the likely kind of a stretch that is led by these variables."""
        lead = columns[0] if columns else 0
        start, stop = stretch.start, stretch.stop
        course = expect(self.series.values[:, lead], self.doubt, start, stop, self.period(lead))
        if breaks_relation(self.series, self.doubt < 2, course, lead, start, stop):
            return "broken relation"
        return likely_kind(course, start, stop)


def _refined(
    stretches: list[Stretch],
    judge: _Judge | None,
    found: NDArray[np.float64] | None,
    points: NDArray[np.float64],
    gap: int,
) -> list[Stretch]:
    """Return the stretches as the values see them, joined where they came too close."""
    if judge is None or found is None or not stretches:
        return stretches
    refined, length = [], len(points)
    borders = [0, *((a.stop + b.start) // 2 for a, b in pairwise(stretches)), length]
    for one, bounds in zip(stretches, pairwise(borders), strict=True):
        lead = sensors.shares(found, one.start, one.stop).argsort(kind="stable")[::-1]
        refined.append(judge.extent(one, lead.tolist(), bounds))
    return join_close(refined, points, gap)


def _ranked(
    found: NDArray[np.float64], stretch: Stretch, names: Sequence[str] | None
) -> tuple[Contribution, ...]:
    parts = sensors.shares(found, stretch.start, stretch.stop)
    order = (-parts).argsort(kind="stable")
    return tuple(
        Contribution(int(c), str(c) if names is None else str(names[c]), float(parts[c])) for c in order
    )


def _evidence(
    series: Series | None, variable_scores: ArrayLike | None, given: ArrayLike | None, length: int
) -> NDArray[np.float64] | None:
    """Return what the variables are ranked by, (T, C), or None where nothing is known of them."""
    if given is None and variable_scores is None:
        return None if series is None else sensors.evidence(series.values, None)
    name = "variable_scores" if given is None else "evidence"
    try:
        table = np.asarray(as_plain(variable_scores if given is None else given), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name} must be numbers of shape ({length}, C): {error}") from error
    if table.ndim != 2 or len(table) != length or not table.shape[1] or not np.isfinite(table).all():
        raise InputError(f"{name} must be finite and of shape ({length}, C), got shape {table.shape}")
    if series is not None and table.shape[1] != series.n_variables:
        raise InputError(f"{name} needs {series.n_variables} columns, one a variable, got {table.shape[1]}")
    if given is not None:
        return table
    return sensors.evidence(None if series is None else series.values, table)


def index_of(series: Any) -> Any:
    """Return the index of a pandas object; None of anything else, and where steps are just counted from 0."""
    if not (hasattr(series, "iloc") and hasattr(series, "index")):
        return None
    index = series.index
    counted = type(index).__name__ == "RangeIndex" and index.start == 0 and index.step == 1
    return None if counted else index


def names_of(series: Any) -> list[str] | None:
    """Return the names of a data frame's columns or of a pandas Series; None where there are none."""
    columns = getattr(series, "columns", None)
    if columns is not None:
        return [str(name) for name in columns]
    name = getattr(series, "name", None)
    return [str(name)] if name is not None and hasattr(series, "iloc") else None
