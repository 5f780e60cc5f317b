"""The report's figures: critical differences, differences from one detector, accuracy and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from vetime_plugins._lazy import need
from vetime_plugins.leaderboard.report.analysis import Analysis
from vetime_plugins.leaderboard.report.board import FAILURES
from vetime_plugins.leaderboard.report.origin import framework_of
from vetime_plugins.leaderboard.report.plot import CHARACTER, Plot, color_of
from vetime_plugins.leaderboard.report.svg import FRAMEWORKS, shorten
from vetime_plugins.metrics.statistics import PairedDifference

__all__ = ["draw_differences", "draw_ranks", "draw_trade_off", "pareto_front"]

_Point = tuple[float, float]
_Box = tuple[float, float, float, float]  # left, upper, right and lower edge

_WIDTH = 900  # pixels
_ROW = 22  # pixels between two names


def draw_ranks(analysis: Analysis) -> str:
    """Draw the critical-difference diagram of at least two detectors; a bar joins those not told apart.

    Without bars where there are too few series to tell any apart.
    """
    board, comparison = analysis.board, analysis.comparison
    order = np.argsort(comparison.ranks, kind="stable")
    left, right = order[: -(-len(order) // 2)], order[-(-len(order) // 2) :][::-1]
    names = [shorten(name, 30) for name in board.detectors]
    cliques = comparison.cliques if analysis.enough else []
    width = _WIDTH if len(names) <= 15 else 1.2 * _WIDTH
    margin = 76 + CHARACTER * max(map(len, names))
    low, high = 1, max(len(names), 2)
    top = 44
    first_row = top + 26 + 12 * len(cliques)
    listed = ", ".join(f"{board.detectors[i]} {comparison.ranks[i]:.2f}" for i in order)
    joined = "; ".join(", ".join(board.detectors[i] for i in clique) for clique in cliques)
    told = f" Not told apart: {joined or 'none'}." if analysis.enough else ""
    plot = Plot(
        width,
        first_row + _ROW * len(left),
        f"Critical-difference diagram. Average ranks: {listed}.{told}",
    )

    def place(rank: float) -> float:
        return margin + (width - 2 * margin) * (rank - low) / (high - low)

    plot.text(width / 2, 8, "average rank (1 is best)", "middle", "muted")
    plot.line([(place(low), top), (place(high), top)], "axis")
    step = max(1, math.ceil((high - low) / 12))
    for rank in (*range(low, high - step // 2, step), high):
        plot.line([(place(rank), top - 6), (place(rank), top)], "axis")
        plot.text(place(rank), top - 15, str(rank), "middle")
    for side, members in ((-1, left), (1, right)):
        edge, anchor = (margin - 8, "end") if side < 0 else (width - margin + 8, "start")
        for row, i in enumerate(members):
            x, y, name = place(comparison.ranks[i]), first_row + _ROW * row, board.detectors[i]
            wins = _mean_share(analysis, i)
            hint = f"{name}: average rank {comparison.ranks[i]:.2f}, wins {wins}"
            with plot.mark(name, framework_of(board, name), hint):
                plot.line([(x, top), (x, y), (edge, y)], "thin")
                plot.circle(x, top, 3.5, "dot")
                plot.reach(0 if side < 0 else edge, y - _ROW / 2, margin, _ROW)
                plot.text(edge + side * 4, y, f"{comparison.ranks[i]:.2f}", anchor, "muted")
                plot.text(edge + side * 46, y, names[i], anchor)
    for row, clique in enumerate(cliques):
        ends = [place(comparison.ranks[clique[i]]) for i in (0, -1)]
        y = top + 13 + 12 * row
        plot.line([(ends[0] - 4, y), (ends[1] + 4, y)], "joined")
    return plot.render()


def _mean_share(analysis: Analysis, at: int) -> str:
    others = np.delete(analysis.wins.share[at], at)
    known = others[~np.isnan(others)]
    return f"{100 * known.mean():.0f} %" if known.size else "unknown"


def draw_differences(analysis: Analysis) -> str:
    """Draw every detector's difference from the reference, with its interval; at least one is not None.

    Without colours none looks surer than it is: where there are few series.
    """
    board, reference, metric = analysis.board, analysis.reference, analysis.board.metric
    found = {name: value for name, value in analysis.differences.items() if value is not None}
    margin = 30 + CHARACTER * max(len(shorten(name)) for name in found)
    bottom = _ROW * len(found) + 8
    ends = [
        0.0,
        *(100 * end for value in found.values() for end in (value.low, value.high, value.difference)),
    ]
    ticks = _ticks(min(ends), max(ends))
    low, high = min(ticks[0], *ends), max(ticks[-1], *ends)
    listed = "; ".join(f"{name} {_tell(value)}" for name, value in found.items())
    plot = Plot(_WIDTH, bottom + 44, f"Differences in {metric} from {reference}: {listed}.")

    def place(value: float) -> float:
        return margin + (_WIDTH - margin - 25) * (value - low) / (high - low)

    for tick in ticks:
        plot.line([(place(tick), 0), (place(tick), bottom)], "axis" if tick == 0 else "grid")
        plot.text(place(tick), bottom + 12, f"{tick:g}", "middle", "muted")
    middle = (place(low) + place(high)) / 2
    plot.text(middle, bottom + 32, f"{metric} minus that of {shorten(reference)}, points of 100", "middle")
    for row, (name, value) in enumerate(found.items()):
        y, framework = _ROW * (row + 0.5) + 4, framework_of(board, name)
        sure = value.has_interval and analysis.enough and not value.low <= 0 <= value.high
        kind = ("better" if value.low > 0 else "worse") if sure else "unsure"
        hint = f"{name}: {_tell(value)}, over {value.n_series} series of {value.n_datasets} data sets"
        with plot.mark(name, framework, hint):
            plot.reach(0, y - _ROW / 2, _WIDTH, _ROW)
            plot.text(margin - 26, y, shorten(name), "end")
            plot.circle(margin - 13, y, 5, "dot")
            if value.has_interval:
                plot.line([(place(100 * value.low), y), (place(100 * value.high), y)], f"range {kind}")
            plot.circle(place(100 * value.difference), y, 4, kind)
    return plot.render()


def _tell(value: PairedDifference) -> str:
    text = f"{100 * value.difference:+.1f}"
    return text + (f" from {100 * value.low:+.1f} to {100 * value.high:+.1f}" if value.has_interval else "")


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers around a stretch."""
    ticker = need("matplotlib.ticker", "the report needs matplotlib>=3.8", extra="report")
    return [float(tick) for tick in ticker.MaxNLocator(8).tick_values(low, high)]


def pareto_front(seconds: np.ndarray, accuracy: np.ndarray) -> np.ndarray:
    """Return which detectors none beats in both, or in one at the same of the other, (n_detectors,)."""
    faster = seconds[:, None] <= seconds[None, :]
    better = accuracy[:, None] >= accuracy[None, :]
    strictly = (seconds[:, None] < seconds[None, :]) | (accuracy[:, None] > accuracy[None, :])
    return ~(faster & better & strictly).any(axis=0)


def draw_trade_off(analysis: Analysis) -> str | None:
    """Draw accuracy against the mean time a series; None where no detector has both.

    A detector that never succeeded has no time and is not drawn. The point of one that failed on some series,
    whose time leaves them out, is hollow.
    """
    board, metric = analysis.board, analysis.board.metric
    times = np.array([board.seconds(name) for name in board.detectors])
    heights = np.array([100 * board.summary(name).mean[metric] for name in board.detectors])
    kept = np.flatnonzero(np.isfinite(times) & np.isfinite(heights) & (times > 0))
    if not kept.size:
        return None
    times, heights = times[kept], heights[kept]
    names = [board.detectors[i] for i in kept]
    frameworks = [framework_of(board, name) for name in names]
    listed = "; ".join(
        f"{name} {height:.1f} in {_seconds(time)} s"
        for name, height, time in zip(names, heights, times, strict=True)
    )
    room = (48.0, 30.0, _WIDTH - 15.0, 360.0 if len(names) <= 15 else 500.0)
    plot = Plot(_WIDTH, room[3] + 48, f"{metric} against seconds a series: {listed}.")
    x, y = _draw_scales(plot, room, times, heights, metric)
    points = np.column_stack((x(np.log10(times)), y(heights)))
    front = pareto_front(times, heights)
    along = np.flatnonzero(front)[np.lexsort((heights[front], times[front]))]
    corners = [((x0, y0), (x1, y0), (x1, y1)) for (x0, y0), (x1, y1) in pairwise(points[along])]
    plot.line([points[along[0]], *(corner for one in corners for corner in one[1:])], "front")
    around = [ends for one in corners for ends in (one[:2], one[1:])]
    for i, box in _place_names(points, names, around, room).items():
        counts = board.counts(names[i])
        failed = sum(counts[status] for status in FAILURES)
        hint = f"{names[i]}: {metric} {heights[i]:.1f}, {_seconds(times[i])} s a series"
        with plot.mark(names[i], frameworks[i], f"{hint}, failed on {failed}" if failed else hint):
            middle, nearest = (box[1] + box[3]) / 2, min(max(points[i, 0], box[0]), box[2])
            if math.hypot(nearest - points[i, 0], middle - points[i, 1]) > 18:
                plot.line([tuple(points[i]), (nearest, middle)], "thin")
            plot.circle(points[i, 0], points[i, 1], 6, "dot hollow" if failed else "dot")
            before = box[2] <= points[i, 0]
            plot.text(
                box[2] - 2 if before else box[0] + 2, middle, shorten(names[i]), "end" if before else "start"
            )
    at = room[0]
    for framework in sorted(set(frameworks) & set(FRAMEWORKS)):
        plot.circle(at + 6, 10, 5, f"dot {color_of(framework)}")
        plot.text(at + 16, 10, framework, kind="muted")
        at += 34 + CHARACTER * len(framework)
    return plot.render()


def _draw_scales(
    plot: Plot, room: _Box, times: np.ndarray, heights: np.ndarray, metric: str
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Draw a grid, and return what places logarithms of seconds, and points of 100, on it."""
    left, right = math.log10(times.min()) - 0.15, math.log10(times.max()) + 0.55  # room for the names
    spread = max(heights.max() - heights.min(), 5)
    ticks = _ticks(heights.min() - 0.08 * spread, heights.max() + 0.08 * spread)

    def x(value: Any) -> Any:
        return room[0] + (room[2] - room[0]) * (value - left) / (right - left)

    def y(value: Any) -> Any:
        return room[3] - (room[3] - room[1]) * (value - ticks[0]) / (ticks[-1] - ticks[0])

    for tick in ticks:
        plot.line([(room[0], y(tick)), (room[2], y(tick))], "grid")
        plot.text(room[0] - 6, y(tick), f"{tick:g}", "end", "muted")
    powers = range(math.floor(left), math.floor(right) + 1)
    steps = (1, 2, 5) if right - left < 2 else (1,)
    for seconds in (step * 10.0**power for power in powers for step in steps):
        at = math.log10(seconds)
        if left <= at <= right:
            plot.line([(x(at), room[1]), (x(at), room[3])], "grid")
            plot.text(x(at), room[3] + 13, _seconds(seconds), "middle", "muted")
    plot.text((room[0] + room[2]) / 2, room[3] + 34, "seconds a series (fit and score, mean)", "middle")
    plot.text(room[2], 10, f"{metric}, points of 100, upwards", "end", "muted")
    return x, y


def _seconds(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def _place_names(
    points: np.ndarray, names: Sequence[str], around: Sequence[tuple[_Point, ...]], room: _Box
) -> dict[int, _Box]:
    """Return where names beside points (n, 2) stand so that none covers another, a point or a line.

    Each takes the nearest free place around its point. `around` holds the ends of horizontal and vertical
    lines.
    """
    taken: list[_Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in points]
    taken += [
        (min(x0, x1) - 1, min(y0, y1) - 1, max(x0, x1) + 1, max(y0, y1) + 1) for (x0, y0), (x1, y1) in around
    ]
    places: dict[int, _Box] = {}
    for i in np.lexsort((points[:, 0], points[:, 1])):
        size = (CHARACTER * len(shorten(names[i])) + 4, 15.0)
        places[int(i)] = _find_place((points[i, 0], points[i, 1]), size, taken, room)
        taken.append(places[int(i)])
    return places


def _find_place(point: _Point, size: _Point, taken: Sequence[_Box], room: _Box) -> _Box:
    """Return the free rectangle that is nearest to a point; one right beside it where none is free."""
    (x, y), (width, height) = point, size
    for radius in range(8, 300, 6):
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
    return (x + 8, y - height / 2, x + 8 + width, y + height / 2)
