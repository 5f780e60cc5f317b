"""Pictures of a series, its scores, and how the model came to them.

The figures are made without pyplot: drawing neither opens a window nor changes matplotlib's backend, settings
or list of open figures, so it works on a server and inside another program alike. A notebook shows a figure
that ends a cell after ``%matplotlib inline``; `save_figure` needs nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vetime_plugins._files import whole_file
from vetime_plugins._lazy import need
from vetime_plugins.errors import InputError
from vetime_plugins.plotting import drawing
from vetime_plugins.series.inputs import Series, as_columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from vetime_plugins.explanation import Explanation
    from vetime_plugins.incidents import Incidents

__all__ = ["plot_explanation", "plot_scores", "save_figure"]

WIDTH = 11.0  # inches
_LAPLACE_95 = float(np.log(20))  # of the mean distance


def plot_scores(
    series: ArrayLike | Series,
    scores: ArrayLike,
    *,
    threshold: float | None = None,
    labels: ArrayLike | None = None,
    time: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    title: str | None = None,
    incidents: Incidents | None = None,
    variable_scores: ArrayLike | None = None,
) -> Figure:
    """Draw a series above its scores.

    Parameters
    ----------
    series : array-like of shape (T,) or (T, C)
        Up to six variables are drawn as lines, each on its own axes; more as one heat map.
    scores : array-like of shape (T,)
        In [0, 1].
    threshold : float, optional
        Drawn across the scores; the points above it are shaded.
    labels : array-like of shape (T,), optional
        True labels, 0 or 1, drawn as a band under the scores.
    time : array-like of shape (T,), optional
        ``datetime64``, numbers or ISO 8601 text, in rising order; anything else gives row numbers.
    names : sequence of str, optional
        The C variables' names.
    title : str, optional
        Above the picture.
    incidents : Incidents, optional
        Marked in place of the points above the threshold, numbered from the most severe and named by kind. Of
        several variables those that lead an incident are marked.
    variable_scores : array-like of shape (T, C), optional
        Scores of the variables, drawn as a heat map where there are several: which of them was it, and when.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot; see `save_figure`.

    Raises
    ------
    InputError
        If the lengths differ or there is nothing to draw.
    MissingDependencyError
        If matplotlib is not installed.
    """
    values, points, truth = _check(series, scores, labels, names)
    x, is_time = _axis_values(time, len(points))
    rows = drawing.series_heights(values)
    heat = _check_variable_scores(variable_scores, values.shape)
    below = [] if heat is None else [min(max(1.0, 0.16 * heat.shape[1]), 6.0)]
    figure, axes = _new_figure([*rows, *below, 1.5], title)
    flagged = _flagged(points, threshold, incidents)
    drawing.draw_series(axes[: len(rows)], x, values, names, flagged, leading=_leading(incidents, values))
    if heat is not None:
        drawing.draw_variable_scores(axes[len(rows)], x, heat, names)
    drawing.draw_scores(axes[-1], x, points, threshold, flagged, truth, incidents)
    if incidents is not None:
        drawing.mark_incidents(axes[0], x, incidents)
    drawing.finish(axes, x, is_time)
    return figure


def plot_explanation(
    explanation: Explanation,
    *,
    threshold: float | None = None,
    labels: ArrayLike | None = None,
    time: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    title: str | None = None,
    incidents: Incidents | None = None,
) -> Figure:
    """Draw what `VETimePipeline.explain` found.

    From top to bottom: the series with its reconstruction (or with what was expected, and the band that holds
    95 % of what was), the scores, each expert's weight over time (stacked, they sum to 1; not for a network
    without them) and the folded image.

    Parameters
    ----------
    explanation : Explanation
        Of one series.
    threshold, labels, time, names, title, incidents
        As in `plot_scores`.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot; see `save_figure`.

    Raises
    ------
    InputError
        If the lengths differ or there is nothing to draw.
    MissingDependencyError
        If matplotlib is not installed.
    """
    values, points, truth = _check(explanation.series, explanation.scores, labels, names)
    x, is_time = _axis_values(time, len(points))
    rows = drawing.series_heights(values)
    experts = [1.3] if explanation.expert_names else []
    figure, axes = _new_figure([*rows, 1.5, *experts], title, image_height=3.2)
    flagged = _flagged(points, threshold, incidents)
    distance = explanation.expected_distance
    band = None if distance is None else _LAPLACE_95 * distance
    drawing.draw_series(
        axes[: len(rows)],
        x,
        values,
        names,
        flagged,
        explanation.reconstruction,
        leading=_leading(incidents, values),
        band=band,
    )
    drawing.draw_scores(axes[len(rows)], x, points, threshold, flagged, truth, incidents)
    if incidents is not None:
        drawing.mark_incidents(axes[0], x, incidents)
    if experts:
        drawing.draw_experts(axes[-2], x, np.asarray(explanation.expert_weights), explanation.expert_names)
    drawing.finish(axes[:-1], x, is_time)
    drawing.draw_image(axes[-1], explanation)
    return figure


def save_figure(figure: Figure, path: str | Path, *, dpi: int = 120) -> None:
    """Write a figure to a file whose suffix tells the format (png, svg, pdf, ...).

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path : str or path
    dpi : int, default 120
        Dots in an inch, for formats of pixels.

    Raises
    ------
    InputError
        If matplotlib does not know the format or the file cannot be written.
    """
    try:
        with whole_file(path) as file:
            figure.savefig(file, format=Path(path).suffix[1:] or None, dpi=dpi)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InputError(f"cannot draw {path}: {error}") from error


def _check(
    series: ArrayLike | Series, scores: ArrayLike, labels: ArrayLike | None, names: Sequence[str] | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return series (T, C), scores (T,) and labels (T,) or None."""
    values, points = as_columns(series, infinite_is_gap=True), np.asarray(scores, dtype=np.float64)
    if points.ndim != 1 or not len(points):
        raise InputError(f"scores must have shape (T,) with T >= 1, got {points.shape}")
    if len(values) != len(points):
        raise InputError(f"needs one score for each step, got {len(points)} scores for {len(values)} steps")
    if names is not None and len(names) != values.shape[1]:
        raise InputError(f"names must name each of the {values.shape[1]} variables, got {len(names)} names")
    if labels is None:
        return values, points, None
    truth = np.asarray(labels)
    if truth.shape != points.shape:
        raise InputError(f"labels must have the scores' shape {points.shape}, got {truth.shape}")
    return values, points, truth.astype(bool)


def _flagged(points: np.ndarray, threshold: float | None, incidents: Incidents | None) -> np.ndarray | None:
    """Return the steps (T,) to shade: those of incidents, else those above the threshold."""
    if incidents is None:
        return None if threshold is None else points > threshold
    if incidents.length != len(points):
        raise InputError(f"incidents of {incidents.length} steps do not belong to {len(points)} scores")
    return incidents.mask()


def _leading(incidents: Incidents | None, values: np.ndarray) -> np.ndarray | None:
    """Return the steps (T, C) where a variable leads an incident; None where they are not told apart."""
    if incidents is None or values.shape[1] == 1 or not all(one.variables for one in incidents):
        return None
    return incidents.variable_mask(values.shape[1])


def _check_variable_scores(given: ArrayLike | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return scores (T, C) of several variables, None where there are none."""
    if given is None:
        return None
    scores = np.asarray(given, dtype=np.float64)
    if scores.shape != shape:
        raise InputError(f"variable_scores must have the series' shape {shape}, got {scores.shape}")
    return scores if shape[1] > 1 else None


def _axis_values(time: ArrayLike | None, length: int) -> tuple[np.ndarray, bool]:
    """Return the x values (T,) and whether they are matplotlib's days since the epoch."""
    rows = np.arange(length, dtype=np.float64)
    if time is None:
        return rows, False
    given = np.asarray(time)
    if given.shape != (length,):
        raise InputError(f"time must have one entry for each of the {length} steps, got shape {given.shape}")
    if given.dtype.kind in "iuf":
        x, is_time = given.astype(np.float64), False
    else:
        from matplotlib.dates import date2num

        stamps = _as_stamps(given)
        if stamps is None:
            return rows, False
        x, is_time = date2num(stamps), True
    if not np.isfinite(x).all() or np.any(np.diff(x) < 0):
        return rows, False
    return x, is_time


def _as_stamps(given: np.ndarray) -> np.ndarray | None:
    """Read ISO 8601 dates, also with slashes; other orders of day and month are not guessed at."""
    if given.dtype.kind == "M":
        return None if np.isnat(given).any() else given
    text = np.char.replace(given.astype(str), "/", "-")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy's deprecation of time zones: such stamps are not read
            return text.astype("datetime64[us]")
    except (ValueError, Warning):
        return None


def _new_figure(
    heights: list[float], title: str | None, image_height: float | None = None
) -> tuple[Figure, list[Axes]]:
    """Return a figure with one axes for each height (inches) on a common x axis, and perhaps one below."""
    need("matplotlib", "pictures need matplotlib>=3.8", extra="report")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    every = heights if image_height is None else [*heights, image_height]
    figure = Figure(figsize=(WIDTH, sum(every) + 0.9), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(every), 1, height_ratios=every)
    axes: list[Axes] = []
    for row in range(len(heights)):
        axes.append(figure.add_subplot(grid[row], sharex=axes[0] if axes else None))
    if image_height is not None:
        axes.append(figure.add_subplot(grid[-1]))
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, color="#222222")
    return figure, axes
