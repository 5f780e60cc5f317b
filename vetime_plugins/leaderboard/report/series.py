"""The series that tell most, drawn with the scores of every detector."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vetime_plugins.errors import InputError
from vetime_plugins.leaderboard.datasets import find_series, read_series
from vetime_plugins.leaderboard.report.board import Board, SeriesKey
from vetime_plugins.leaderboard.report.entries import percent
from vetime_plugins.leaderboard.report.svg import BLUE, GREY, INK, RED, render, shorten
from vetime_plugins.leaderboard.results import StoredSeries, load_scores, load_series
from vetime_plugins.plotting.drawing import decimate, shade

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Choice", "SeriesSource", "choose_series", "draw_scores"]

_WIDTH = 9.6  # inches
_CHARACTER = 0.075  # inches, of a name in the size that names have
_GAP = 0.05  # inches between two rows
_TOP = 0.1  # inches above the first row
_BINS = 400  # stretches that a line is decimated to; each keeps its lowest and highest point
_MAX_LINES = 12  # more rows than this become stripes of colour
_MAX_VARIABLES = 6  # more variables than this too


class Choice(NamedTuple):
    """A series worth a look, and why."""

    key: SeriesKey
    why: str


def choose_series(board: Board, reference: str, *, n: int = 2) -> list[Choice]:
    """Choose the series that are easiest and hardest, and those that one detector gains and loses most on.

    Gains and losses are those of `reference` against the mean of the others; there are `n` of each kind, each
    series once, for the first reason that holds.
    """
    values = board.values()
    kept = np.flatnonzero(~np.isnan(values).any(axis=1))
    if not kept.size:
        return []
    values = values[kept]
    mean = values.mean(axis=1)
    orders = [
        ("Hardest: the lowest mean over detectors", np.argsort(mean, kind="stable")),
        ("Easiest: the highest mean over detectors", np.argsort(-mean, kind="stable")),
    ]
    if len(board.detectors) > 1:
        column = board.detectors.index(reference)
        lead = values[:, column] - np.delete(values, column, axis=1).mean(axis=1)
        most = [i for i in np.argsort(-lead, kind="stable") if lead[i] > 0]
        least = [i for i in np.argsort(lead, kind="stable") if lead[i] < 0]
        orders += [
            (f"Where {reference} is furthest above the mean of the others", np.array(most, int)),
            (f"Where {reference} is furthest below the mean of the others", np.array(least, int)),
        ]
    chosen: dict[SeriesKey, str] = {}
    for why, order in orders:
        fresh = [board.series[kept[i]] for i in order if board.series[kept[i]] not in chosen]
        chosen.update(dict.fromkeys(fresh[:n], why))
    return [Choice(key, why) for key, why in chosen.items()]


class SeriesSource:
    """Where values and labels of a series are looked up: in the results, or else in a folder of data.

    `data` is laid out like TSB-AD; InputError if it holds no series.
    """

    def __init__(self, results: str | PathLike[str], data: str | PathLike[str] | None = None) -> None:
        self.results = Path(results)
        found = [] if data is None else find_series(data)
        self._files = {file.path.stem: file for file in found}

    def read(self, board: Board, key: SeriesKey) -> StoredSeries | None:
        """Return a series, or None where neither folder has it."""
        try:
            return load_series(self.results, key.name)
        except InputError:
            file = self._files.get(key.name)
        if file is None:
            return None
        series = read_series(file.path, dataset=key.dataset)
        cell = board.on(key)[0]
        if cell.n_points != len(series.values):
            raise InputError(
                f"{file.path} has {len(series.values)} points, the results are of {cell.n_points}; name the "
                "folder that they were made from"
            )
        return StoredSeries(series.values, series.labels, cell.train_length, cell.buffer)

    def scores(self, board: Board, detector: str, key: SeriesKey) -> np.ndarray | str:
        """Return the scores of the test part (n_test,), or in a word why there are none."""
        cell = board.cells.get((detector, key))
        if cell is None or cell.failed:
            return board.status(detector, key)
        try:
            return load_scores(self.results, cell)
        except InputError:
            return "scores not stored"


def draw_scores(name: str, board: Board, key: SeriesKey, source: SeriesSource) -> str | None:
    """Draw the test part of a series above every detector's scores, with the labels shaded.

    None where the series is not to be had. Scores fill their row from the lowest to the highest: only their
    order counts in the metrics that use every threshold. `name` is that of `render`.
    """
    stored = source.read(board, key)
    if stored is None:
        return None
    values, labels = stored.values[stored.train_length :], stored.test_labels
    rows = [(detector, source.scores(board, detector, key)) for detector in board.detectors]
    found = board.values()[board.series.index(key)]
    as_lines = len(rows) <= _MAX_LINES
    heights = [1.3, *[0.4 if as_lines else 0.2] * len(rows)]
    margin = 0.25 + _CHARACTER * max(len(shorten(detector, 30)) for detector in ("series", *board.detectors))
    size = (_WIDTH, sum(heights) + _GAP * len(rows) + 0.55)

    def paint(figure: Figure) -> None:
        panels = _stack(figure, size, heights, margin)
        _draw_variables(panels[0], values)
        what = "series" if values.shape[1] == 1 else f"{values.shape[1]} variables"
        _label(panels[0], what, labels, heights[0], as_stripes=values.shape[1] > _MAX_VARIABLES)
        for ax, height, (detector, scores), value in zip(panels[1:], heights[1:], rows, found, strict=True):
            _draw_row(ax, scores, as_lines=as_lines)
            _label(ax, shorten(detector, 30), labels, height, as_stripes=not as_lines)
            ax.text(1.01, 0.5, percent(value), transform=ax.transAxes, ha="left", va="center")
        for ax in panels:
            ax.set_xlim(0, len(labels))
        for ax in panels[:-1]:
            ax.set_xticks([])
        panels[-1].spines["bottom"].set_visible(True)
        panels[-1].set_xlabel("point of the test part", labelpad=2)

    listed = "; ".join(
        f"{detector} {percent(value)}" for detector, value in zip(board.detectors, found, strict=True)
    )
    description = (
        f"Series {key.name} of {key.dataset}, {len(labels)} points of which {int(labels.sum())} are labelled "
        f"anomalous, above the scores of every detector. {board.metric}: {listed}."
    )
    return render(name, description, size, paint, _hints(board, key, heights, found, stored))


def _hints(
    board: Board, key: SeriesKey, heights: Sequence[float], found: np.ndarray, stored: StoredSeries
) -> list[tuple[float, float, str]]:
    """Return what the rows tell: the size of the series, and of each detector what its scores are worth."""
    labels = stored.test_labels
    texts = [f"{key.name}: {len(labels)} points, {int(labels.sum())} of them labelled"]
    for name, value in zip(board.detectors, found, strict=True):
        cell = board.cells.get((name, key))
        taken = math.nan if cell is None else np.nansum([cell.fit_seconds, cell.score_seconds])
        seconds = f", {taken:.3g} s" if taken > 0 else ""
        texts.append(f"{name}: {board.status(name, key)}, {board.metric} {percent(value)}{seconds}")
    ends = np.cumsum([_TOP, *(height + _GAP for height in heights)])
    return list(zip(ends[:-1].tolist(), ends[1:].tolist(), texts, strict=True))


def _stack(figure: Figure, size: tuple[float, float], heights: Sequence[float], margin: float) -> list[Axes]:
    """Return axes of given heights in inches, one below the other, without a frame."""
    panels, top = [], _TOP
    for height in heights:
        box = (margin / size[0], 1 - (top + height) / size[1], 1 - (margin + 0.6) / size[0], height / size[1])
        ax = figure.add_axes(box)
        ax.set_yticks([])
        ax.spines[["left", "bottom"]].set_visible(False)
        panels.append(ax)
        top += height + _GAP
    return panels


def _label(ax: Axes, name: str, labels: np.ndarray, height: float, *, as_stripes: bool) -> None:
    """Write a panel's name beside it, and mark the labelled points (T,) on it."""
    ax.text(-0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center")
    style: dict[str, Any] = {"alpha": 0.28}
    if as_stripes:  # shading would change the colours that it lies on: a bar along the top does not
        style = {"ymin": 1.0, "ymax": 1.0 + 0.04 / height, "clip_on": False}
    shade(ax, np.arange(len(labels)) + 0.5, labels, color=RED, zorder=3, **style)


def _draw_variables(ax: Axes, values: np.ndarray) -> None:
    """Draw a series (T, C): as lines on one scale each, or as stripes where there are many."""
    if values.shape[1] > _MAX_VARIABLES:
        _draw_stripes(ax, [_scale(values[:, c]) for c in range(values.shape[1])])
        return
    for c in range(values.shape[1]):
        _draw_line(ax, _scale(values[:, c]), color=INK, linewidth=0.7, alpha=1 if c == 0 else 0.55)
    ax.set_ylim(-0.04, 1.04)


def _draw_row(ax: Axes, scores: np.ndarray | str, *, as_lines: bool) -> None:
    if isinstance(scores, str):
        ax.text(0.5, 0.5, scores, transform=ax.transAxes, ha="center", va="center", color=RED)
    elif as_lines:
        _draw_line(ax, _scale(scores), color=BLUE, linewidth=0.8)
        ax.axhline(-0.05, color=GREY, linewidth=0.4)
        ax.set_ylim(-0.08, 1.08)
    else:
        _draw_stripes(ax, [_scale(scores)])


def _draw_line(ax: Axes, values: np.ndarray, **style: Any) -> None:
    rows, kept = decimate(values, _BINS)
    ax.plot(rows + 0.5, kept, **style)


def _draw_stripes(ax: Axes, rows: Sequence[np.ndarray]) -> None:
    """Draw rows (T,) in [0, 1] as colours, of every stretch the highest."""
    edges = np.unique(np.linspace(0, len(rows[0]), min(len(rows[0]), _BINS) + 1).astype(np.int64))
    picture = np.stack([np.fmax.reduceat(row, edges[:-1]) for row in rows])
    extent = (0, len(rows[0]), len(rows), 0)
    # "none" keeps one pixel a stretch; the browser then scales it
    ax.imshow(picture, aspect="auto", extent=extent, cmap="cividis", vmin=0, vmax=1, interpolation="none")


def _scale(values: np.ndarray) -> np.ndarray:
    """Stretch values (T,), which may hold NaN, over [0, 1]; equal ones become 0."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.full(len(values), np.nan)
    low, high = finite.min(), finite.max()
    # halved, since the difference of two large numbers can overflow
    width = high / 2 - low / 2
    return np.zeros(len(values)) if width == 0 else (values / 2 - low / 2) / width
