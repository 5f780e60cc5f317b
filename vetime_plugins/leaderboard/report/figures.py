"""The report's figures: critical differences, differences from one detector, accuracy and time, heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from vetime_plugins.leaderboard.report.board import Board
from vetime_plugins.leaderboard.report.svg import BLUE, FRAMEWORKS, GREY, INK, PAPER, RED, render, shorten
from vetime_plugins.metrics.statistics import Comparison, PairedDifference

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_differences", "draw_heat_map", "draw_ranks", "draw_trade_off", "pareto_front"]

_Point = tuple[float, float]
_Box = tuple[float, float, float, float]  # left, lower, right and upper edge

_WIDTH = 9.6  # inches
_CHARACTER = 0.075  # inches, of a name in the size that names have
_ROW = 0.24  # inches between two names


def draw_ranks(detectors: Sequence[str], comparison: Comparison) -> str:
    """Draw the critical-difference diagram of at least two detectors; a bar joins those not told apart."""
    order = np.argsort(comparison.ranks, kind="stable")
    left, right = order[: -(-len(order) // 2)], order[-(-len(order) // 2) :][::-1]
    names = [shorten(name, 30) for name in detectors]
    width = _WIDTH if len(names) <= 15 else 1.25 * _WIDTH
    margin = 0.75 + _CHARACTER * max(map(len, names))
    low, high = 1, max(len(detectors), 2)
    bars = 0.16 * len(comparison.cliques)
    top = 0.55
    first_row = top + 0.35 + bars
    height = first_row + _ROW * len(left)

    def place(rank: float) -> float:
        return margin + (width - 2 * margin) * (rank - low) / (high - low)

    def paint(figure: Figure) -> None:
        ax = _blank(figure, (width, height))
        ax.plot([place(low), place(high)], [top, top], color=INK, linewidth=1.2)
        step = max(1, math.ceil((high - low) / 12))
        for rank in (*range(low, high - step // 2, step), high):
            ax.plot([place(rank)] * 2, [top - 0.07, top], color=INK, linewidth=1.2)
            ax.text(place(rank), top - 0.12, str(rank), ha="center", va="bottom")
        ax.text(width / 2, 0.02, "average rank (1 is best)", ha="center", va="top", color=GREY)
        for side, members in ((-1, left), (1, right)):
            edge, away = (margin - 0.1, "right") if side < 0 else (width - margin + 0.1, "left")
            for row, i in enumerate(members):
                x, y = place(comparison.ranks[i]), first_row + _ROW * row
                ax.plot([x, x, edge], [top, y, y], color=GREY, linewidth=0.8)
                number = f"{comparison.ranks[i]:.2f}"
                ax.text(edge + side * 0.05, y, number, ha=away, va="center", color=GREY)
                ax.text(edge + side * 0.52, y, names[i], ha=away, va="center")
        for row, clique in enumerate(comparison.cliques):
            ends = [place(comparison.ranks[clique[i]]) for i in (0, -1)]
            y = top + 0.2 + 0.16 * row
            ax.plot([ends[0] - 0.05, ends[1] + 0.05], [y, y], color=BLUE, linewidth=3.5)

    listed = ", ".join(f"{detectors[i]} {comparison.ranks[i]:.2f}" for i in order)
    joined = "; ".join(", ".join(detectors[i] for i in clique) for clique in comparison.cliques)
    description = f"Critical-difference diagram. Average ranks: {listed}. Not told apart: {joined or 'none'}."
    return render("ranks", description, (width, height), paint)


def draw_differences(
    differences: Mapping[str, PairedDifference | None], reference: str, metric: str, *, coloured: bool = True
) -> str:
    """Draw every detector's difference from one, with its interval; at least one is not None.

    Without colours none looks surer than it is: where there are few series.
    """
    found = {name: value for name, value in differences.items() if value is not None}
    margin = 0.3 + _CHARACTER * max(len(shorten(name)) for name in found)
    height = 0.75 + _ROW * len(found)

    def paint(figure: Figure) -> None:
        ax = _axes(figure, (_WIDTH, height), left=margin, bottom=0.55, top=0.1)
        for row, value in enumerate(found.values()):
            sure = value.has_interval
            color = BLUE if value.low > 0 else RED if value.high < 0 else GREY
            color = color if sure and coloured else GREY
            if sure:
                ax.plot([100 * value.low, 100 * value.high], [row, row], color=color, linewidth=2)
            ax.plot(100 * value.difference, row, "o", color=color, markersize=5)
        ax.axvline(0, color=INK, linewidth=1)
        ax.set_ylim(len(found) - 0.4, -0.6)
        ax.set_yticks(range(len(found)), [shorten(name) for name in found])
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
        ax.grid(axis="x")
        ax.set_axisbelow(True)
        ax.set_xlabel(f"{metric} minus that of {shorten(reference)}, points of 100")

    listed = "; ".join(
        f"{name} {100 * value.difference:+.1f}"
        + (f" from {100 * value.low:+.1f} to {100 * value.high:+.1f}" if value.has_interval else "")
        for name, value in found.items()
    )
    return render(
        "differences", f"Differences in {metric} from {reference}: {listed}.", (_WIDTH, height), paint
    )


def pareto_front(seconds: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return which detectors none beats in both, or in one at the same of the other, (n_detectors,)."""
    faster = seconds[:, None] <= seconds[None, :]
    better = accuracy[:, None] >= accuracy[None, :]
    strictly = (seconds[:, None] < seconds[None, :]) | (accuracy[:, None] > accuracy[None, :])
    return ~(faster & better & strictly).any(axis=0)


def draw_trade_off(
    detectors: Sequence[str],
    seconds: Sequence[float],
    accuracy: Sequence[float],
    incomplete: Sequence[bool],
    metric: str,
    frameworks: Sequence[str] | None = None,
) -> str | None:
    """Draw accuracy, in [0, 1], against the mean time a series; None where no detector has both.

    A detector that never succeeded has the time NaN and is not drawn. The point of an `incomplete` one, whose
    time leaves out the series that it failed on, is hollow. Points have the colours of their `frameworks`.
    """
    times, heights = np.asarray(seconds, float), 100 * np.asarray(accuracy, float)
    kept = np.flatnonzero(np.isfinite(times) & np.isfinite(heights) & (times > 0))
    if not kept.size:
        return None
    times, heights = times[kept], heights[kept]
    names = [detectors[i] for i in kept]
    front = pareto_front(times, heights)
    of = [frameworks[i] if frameworks is not None else "" for i in kept]
    colors = [FRAMEWORKS.get(framework, GREY) for framework in of]
    size = (_WIDTH, 4.6 if len(names) <= 15 else 6.6)

    def paint(figure: Figure) -> None:
        ax = _axes(figure, size, left=0.6, bottom=0.55, top=0.35, right=0.2)
        ax.set_xscale("log")
        ax.xaxis.set_major_formatter(lambda value, _: _seconds(value))
        ax.xaxis.set_minor_formatter(lambda value, _: "")
        ax.set_xlim(times.min() / 2.5, times.max() * 4)  # room for the names
        spread = max(heights.max() - heights.min(), 5)
        ax.set_ylim(heights.min() - 0.12 * spread, heights.max() + 0.12 * spread)
        ax.set_xlabel("seconds a series (fit and score, mean)")
        ax.set_ylabel(f"{metric}, points of 100")
        ax.grid()
        ax.set_axisbelow(True)
        along = np.flatnonzero(front)[np.argsort(times[front], kind="stable")]
        ax.plot(times[along], heights[along], color=BLUE, linewidth=1, drawstyle="steps-post", alpha=0.6)
        for i in range(len(names)):
            color = colors[i]
            inside, edge = (PAPER, color) if incomplete[kept[i]] else (color, PAPER)
            ax.plot(times[i], heights[i], "o", markersize=7, markerfacecolor=inside, markeredgecolor=edge)
        for framework in sorted(set(of) & set(FRAMEWORKS)):
            ax.plot([], [], "o", markersize=6, color=FRAMEWORKS[framework], label=framework)
        if set(of) & set(FRAMEWORKS):
            figure.legend(loc="upper center", ncol=len(FRAMEWORKS), frameon=False, borderpad=0.1)
        points = ax.transData.transform(np.column_stack((times, heights)))
        corners = [((x1, y0), (x1, y1)) for (x0, y0), (x1, y1) in pairwise(points[along])]
        steps = [((x0, y0), (x1, y0)) for (x0, y0), (x1, y1) in pairwise(points[along])]
        _name_points(ax, points, names, around=[*corners, *steps])

    listed = "; ".join(
        f"{name} {height:.1f} in {_seconds(time)} s"
        for name, height, time in zip(names, heights, times, strict=True)
    )
    return render("time", f"{metric} against seconds a series: {listed}.", size, paint)


def draw_heat_map(board: Board) -> str:
    """Draw every detector's mean on every data set; one that the metric is undefined on stays blank."""
    means = {name: board.summary(name).datasets for name in board.detectors}
    datasets = board.datasets
    table = np.array([[100 * means[name][d][board.metric] for d in datasets] for name in board.detectors])
    margin = 0.3 + _CHARACTER * max(len(shorten(name)) for name in board.detectors)
    above = 0.35 + 0.06 * max(len(shorten(name, 24)) for name in datasets)
    column = min(0.62, (_WIDTH - margin - 0.9) / len(datasets))
    size = (margin + column * len(datasets) + 0.9, above + _ROW * len(board.detectors) + 0.1)

    def paint(figure: Figure) -> None:
        ax = _axes(figure, size, left=margin, bottom=0.1, top=above, right=0.9)
        ax.pcolormesh(np.ma.masked_invalid(table), cmap="cividis", vmin=0, vmax=100, linewidth=0)
        ax.invert_yaxis()
        ax.xaxis.tick_top()
        places = np.arange(len(datasets)) + 0.5
        ax.set_xticks(places, [shorten(name, 24) for name in datasets], rotation=40, ha="left")
        ax.set_yticks(np.arange(len(board.detectors)) + 0.5, [shorten(name) for name in board.detectors])
        ax.tick_params(length=0)
        ax.spines[["left", "bottom"]].set_visible(False)
        if column > 0.3:
            for (row, at), value in np.ndenumerate(table):
                text = "-" if math.isnan(value) else f"{value:.0f}"
                color = INK if math.isnan(value) else "#ffffff" if value < 48 else "#000000"
                ax.text(at + 0.5, row + 0.5, text, ha="center", va="center", color=color, fontsize=8)

    description = (
        f"Heat map of {board.metric}: {len(board.detectors)} detectors by {len(datasets)} data sets; the "
        "table of means by data set holds the same figures."
    )
    return render("heat", description, size, paint)


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _blank(figure: Figure, size: tuple[float, float]) -> Axes:
    """Return axes over the whole figure whose unit is the inch, from the upper left corner."""
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(0, size[0])
    ax.set_ylim(size[1], 0)
    ax.axis("off")
    return ax


def _axes(
    figure: Figure, size: tuple[float, float], *, left: float, bottom: float, top: float, right: float = 0.3
) -> Axes:
    """Return axes with margins in inches."""
    width, height = size
    box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
    return figure.add_axes(box)


def _name_points(
    ax: Axes, points: np.ndarray, names: Sequence[str], around: Sequence[tuple[_Point, _Point]]
) -> None:
    """Write names beside points (n, 2), in pixels, so that none covers another, a point or a line.

    Each takes the nearest free place around its point, and a line to it where that is not right beside it.
    `around` holds the ends of horizontal and vertical lines.
    """
    taken: list[_Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    taken += [(x0 - 1, min(y0, y1) - 1, x1 + 1, max(y0, y1) + 1) for (x0, y0), (x1, y1) in around]
    frame = ax.get_window_extent()
    for i in np.lexsort((points[:, 0], -points[:, 1])):
        text = shorten(names[i])
        x, y = points[i]
        room = (frame.x0, frame.y0, frame.x1, frame.y1)
        place = _find_place(x, y, (5.6 * len(text) + 4, 12.0), taken, room)
        taken.append(place)
        middle = (place[1] + place[3]) / 2
        nearest = min(max(x, place[0]), place[2])
        if math.hypot(nearest - x, middle - y) > 18:
            ends = ax.transData.inverted().transform([(x, y), (nearest, middle)])
            ax.plot(*ends.T, color=GREY, linewidth=0.5, zorder=1)
        left, at = ax.transData.inverted().transform((place[0] + 2, middle))
        ax.text(left, at, text, va="center_baseline", ha="left", color=INK)


def _find_place(x: float, y: float, size: _Point, taken: Sequence[_Box], room: _Box) -> _Box:
    """Return the free rectangle that is nearest to a point; one right beside it where none is free."""
    width, height = size
    for radius in range(6, 240, 6):
        for angle in (45, -45, 0, 135, -135, 180, 90, -90, 20, -20, 160, -160):
            dx, dy = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            left = x + radius * dx - (width if dx < -0.1 else 0 if dx > 0.1 else width / 2)
            low = y + radius * dy - (height if dy < -0.5 else 0 if dy > 0.5 else height / 2)
            box = (left, low, left + width, low + height)
            inside = box[0] >= room[0] and box[2] <= room[2] and box[1] >= room[1] and box[3] <= room[3]
            free = all(
                box[2] <= other[0] or box[0] >= other[2] or box[3] <= other[1] or box[1] >= other[3]
                for other in taken
            )
            if inside and free:
                return box
    return (x + 6, y - height / 2, x + 6 + width, y + height / 2)
