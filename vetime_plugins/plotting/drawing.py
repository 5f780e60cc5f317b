"""The rows that the pictures of `vetime_plugins.plotting` are put together from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from vetime_plugins.explanation import Explanation
    from vetime_plugins.incidents import Incidents

MAX_LINES = 6  # more variables than this are drawn as one heat map
MAX_BINS = 1_500  # a picture is hardly ever wider: two points for each bin keep every peak
MAX_SPANS = 600  # what a single step must be seen in (shading, heat map) is 1/600 of the width or wider
MAX_NAMES = 40  # beside a heat map
LETTER = 0.006  # width of a letter of a mark, as a share of the axes

_RARE = 0.99  # from a score this high on the axis goes by nines
_MOST_NINES = 6
_BAND = 0.11  # of the height of the scores, for labels below them

# Okabe and Ito's palette: told apart with any of the common colour vision deficiencies.
_BLUE, _ORANGE, _GREEN, _RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
_EXPERTS = (_BLUE, _ORANGE, _GREEN, "#CC79A7", "#56B4E9", "#F0E442")
_INK = "#222222"


def series_heights(values: np.ndarray) -> list[float]:
    """Return the heights in inches of the rows that a series (T, C) takes."""
    variables = values.shape[1]
    if variables > MAX_LINES:
        return [min(max(2.5, 0.13 * variables), 8.0)]
    return [2.2 if variables == 1 else 1.4] * variables


def draw_series(
    axes: list[Axes],
    x: np.ndarray,
    values: np.ndarray,
    names: Sequence[str] | None,
    flagged: np.ndarray | None,
    reconstruction: np.ndarray | None = None,
    leading: np.ndarray | None = None,
    band: np.ndarray | None = None,
) -> None:
    """Draw the variables as lines, or as one heat map where there are many.

    What is `flagged` (T,) is shaded, or where it is known which variables lead it, (T, C), those alone.
    `band` (T, C) is half the height of what is shaded around the reconstruction.
    """
    if values.shape[1] > MAX_LINES:
        _draw_heat_map(axes[0], x, values, names)
        return
    for c, ax in enumerate(axes):
        shade(ax, x, flagged if leading is None else leading[:, c], color=_RED, alpha=0.25)
        if reconstruction is not None:  # wide and below: where the two agree, both can be seen
            label = "reconstruction" if band is None else "expected"
            style = {"color": _GREEN, "linewidth": 2.5, "alpha": 0.6, "label": label}
            _draw_line(ax, x, reconstruction[:, c], **style)
            if band is not None:
                _draw_band(ax, x, reconstruction[:, c], band[:, c])
        _draw_line(ax, x, values[:, c], color=_INK, linewidth=0.8, label="series")
        ax.set_ylabel(str(names[c]) if names is not None else f"variable {c}" if len(axes) > 1 else "series")
    if reconstruction is not None:
        _legend(axes[0])


def _draw_band(ax: Axes, x: np.ndarray, middle: np.ndarray, half: np.ndarray) -> None:
    """Shade `half` the height above and below; of a stretch that is one pixel wide, the widest."""
    edges = np.unique(np.linspace(0, len(x), min(len(x), MAX_BINS) + 1).astype(np.int64))[:-1]
    low, high = np.minimum.reduceat(middle - half, edges), np.maximum.reduceat(middle + half, edges)
    ax.fill_between(x[edges], low, high, color=_GREEN, alpha=0.2, linewidth=0, label="95 % expected here")


def _draw_heat_map(ax: Axes, x: np.ndarray, values: np.ndarray, names: Sequence[str] | None) -> None:
    """Draw each variable's deviation from its own mean, in its own standard deviations."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # a variable of nothing but gaps stays blank
        spread = np.nanstd(values, axis=0)
        scaled = (values - np.nanmean(values, axis=0)) / np.where(spread > 0, spread, 1.0)
    edges = np.unique(np.linspace(0, len(values), min(len(values), MAX_SPANS) + 1).astype(np.int64))
    # The largest deviation of each stretch, not its mean: a spike of one step has to survive.
    size = np.where(np.isnan(scaled), -1.0, np.abs(scaled))
    picked = np.stack(
        [
            np.take_along_axis(scaled[a:b], size[a:b].argmax(axis=0)[None], axis=0)[0]
            for a, b in pairwise(edges)
        ]
    )
    _heat_map(ax, x, edges, picked, names, label="z-score", cmap="RdBu_r", vmin=-4, vmax=4)
    ax.set_ylabel(f"{values.shape[1]} variables")


def _heat_map(
    ax: Axes,
    x: np.ndarray,
    edges: np.ndarray,
    picked: np.ndarray,
    names: Sequence[str] | None,
    *,
    label: str,
    **colours: Any,
) -> None:
    """Draw one value for each stretch between `edges` (n + 1,) and each variable: picked (n, C)."""
    borders = np.append(x[edges[:-1]], x[-1] + _step(x)) - _step(x) / 2
    variables = np.arange(picked.shape[1])
    rows = np.arange(len(variables) + 1) - 0.5
    mesh = ax.pcolormesh(borders, rows, picked.T, rasterized=True, **colours)
    ax.invert_yaxis()
    shown = variables[:: -(-len(variables) // MAX_NAMES)]
    ax.set_yticks(shown, [str(names[c]) if names is not None else str(c) for c in shown])
    bar = ax.figure.colorbar(mesh, ax=ax, pad=0.01)
    bar.set_label(label, size=9)
    bar.ax.tick_params(labelsize=8)


def draw_scores(
    ax: Axes,
    x: np.ndarray,
    scores: np.ndarray,
    threshold: float | None,
    flagged: np.ndarray | None,
    truth: np.ndarray | None,
    incidents: Incidents | None = None,
) -> None:
    """Draw the scores, the threshold across them and the true labels below them."""
    style: dict[str, Any] = {} if incidents is None else {"label": "incident"}
    shade(ax, x, flagged, color=_RED, alpha=0.25, **style)
    _draw_line(ax, x, scores, color=_BLUE, linewidth=0.9, label="score")
    if threshold is not None:
        ax.axhline(threshold, color=_RED, linewidth=0.9, linestyle="--", label=f"threshold {threshold:.6g}")
    if truth is not None:
        shade(ax, x, truth, color=_ORANGE, alpha=1.0, label="true anomaly", ymin=0.0, ymax=_BAND - 0.03)
    _set_score_axis(ax, float(scores.max(initial=0.0)), band=truth is not None)
    if incidents:
        ax.plot(
            x[[one.peak for one in incidents]], [one.severity for one in incidents], "v", color=_RED,
            markersize=4, label="peak",
        )  # fmt: skip
    if threshold is not None or truth is not None or incidents:
        _legend(ax)


def _set_score_axis(ax: Axes, highest: float, band: bool) -> None:
    """Let the axis of scores in [0, 1] go by tenths of what is left to 1, where some come close to it.

    A tail probability of 0.999 is ten times as rare as 0.99: on a straight axis both would be at the top, and
    half of a calm series above the middle. A `band` below the axis is left for labels.
    """
    ax.set_ylabel("score")
    bottom = -1.05 * _BAND / (1 - _BAND) if band else 0.0
    if highest <= _RARE:
        ax.set_ylim(bottom, 1.05)
        ax.set_yticks([0.0, 0.5, 1.0])
    else:
        nines = int(np.clip(np.ceil(_to_nines(np.array(highest)) - 0.01), 3, _MOST_NINES))
        ax.set_yscale("function", functions=(_to_nines, _from_nines))
        ax.set_ylim(*_from_nines(np.array([bottom * nines, 1.05 * nines])))
        ticks = _from_nines(np.arange(nines + 1.0))
        ax.set_yticks(ticks, [f"{tick:.{n}f}" for n, tick in enumerate(ticks)])
    if band:
        ax.plot([0, 1], [_BAND - 0.02] * 2, color=_INK, linewidth=0.5, transform=ax.transAxes)


def _to_nines(scores: np.ndarray) -> np.ndarray:
    return -np.log10(np.clip(1 - np.asarray(scores, dtype=np.float64), 10.0 ** -(1.04 * _MOST_NINES), None))


def _from_nines(nines: np.ndarray) -> np.ndarray:
    return 1 - 10.0 ** -np.asarray(nines, dtype=np.float64)


def mark_incidents(ax: Axes, x: np.ndarray, incidents: Incidents) -> None:
    """Write each incident's rank and kind above the axes, the most severe first; none over another."""
    left, right = float(x[0]), float(x[-1])
    taken: list[tuple[float, float]] = []
    for rank, one in enumerate(incidents, 1):
        text = f"{rank} {one.kind}" if one.kind else str(rank)
        at = float(x[one.peak])
        wide = (right - left or 1.0) * LETTER * (len(text) + 1)
        at = min(max(at, left + wide / 2), max(right - wide / 2, left + wide / 2))
        if any(abs(at - other) < (wide + width) / 2 for other, width in taken):
            continue
        taken.append((at, wide))
        ax.annotate(
            text, (at, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 2), textcoords="offset points",
            ha="center", va="bottom", fontsize=7, color=_RED, annotation_clip=False,
        )  # fmt: skip


def draw_variable_scores(ax: Axes, x: np.ndarray, scores: np.ndarray, names: Sequence[str] | None) -> None:
    """Draw the scores of several variables (T, C) as a heat map."""
    edges = np.unique(np.linspace(0, len(scores), min(len(scores), MAX_SPANS) + 1).astype(np.int64))
    picked = np.maximum.reduceat(scores, edges[:-1], axis=0)
    _heat_map(ax, x, edges, picked, names, label="score", cmap="OrRd", vmin=0, vmax=1)
    ax.set_ylabel("which variable")


def draw_experts(ax: Axes, x: np.ndarray, weights: np.ndarray, names: Sequence[str]) -> None:
    """Stack the experts' weights (T, E); averaged over stretches, since min/max would not sum to 1."""
    edges = np.unique(np.linspace(0, len(x), min(len(x), MAX_BINS) + 1).astype(np.int64))[:-1]
    counts = np.diff(np.append(edges, len(x)))
    means = np.add.reduceat(weights, edges, axis=0) / counts[:, None]
    colors = [_EXPERTS[e % len(_EXPERTS)] for e in range(weights.shape[1])]
    ax.stackplot(x[edges], means.T, labels=list(names), colors=colors, alpha=0.85, step="post")
    ax.set_ylim(0, 1)
    ax.set_yticks([0.0, 0.5, 1.0])
    ax.set_ylabel("expert weight")
    _legend(ax)


def draw_image(ax: Axes, explanation: Explanation) -> None:
    """Show the image (H, W, 3) that the series was folded into."""
    ax.imshow(explanation.image, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel("within a row: time →", fontsize=8)
    ax.set_ylabel("row after row ↓", fontsize=8)
    period = explanation.period
    ax.set_title(
        f"folded image (period: {period} steps)" if period > 1 else "folded image (no period)", fontsize=9
    )


def _draw_line(ax: Axes, x: np.ndarray, values: np.ndarray, **style: Any) -> None:
    """Draw a line through a series (T,) with gaps, decimated."""
    rows, kept = decimate(values)
    alone = np.isfinite(kept)
    if len(kept) > 1:  # a number between two gaps has no line to either side: a dot makes it visible
        alone = alone & ~np.isfinite(np.append(np.nan, kept[:-1])) & ~np.isfinite(np.append(kept[1:], np.nan))
    ax.plot(x[rows], kept, **style)
    if alone.any():
        ax.plot(x[rows][alone], kept[alone], ".", color=style["color"], markersize=4)


def _step(x: np.ndarray) -> float:
    """Return the mean distance between two of the x values (T,)."""
    return float(x[-1] - x[0]) / max(len(x) - 1, 1) or 1.0


def _legend(ax: Axes) -> None:
    """Put the legend above the axes: inside it would hide data somewhere."""
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, frameon=False, fontsize=8, ncols=6)


def shade(
    ax: Axes, x: np.ndarray, mask: np.ndarray | None, *, ymin: float = 0.0, ymax: float = 1.0, **style: Any
) -> None:
    """Shade the steps in `mask` (T,) between two heights (shares of the axes), wide enough to be seen."""
    if mask is None or not mask.any():
        return
    step = _step(x)
    pixel = (x[-1] - x[0] + step) / MAX_SPANS
    starts, stops = np.flatnonzero(np.diff(mask.astype(np.int8), prepend=0, append=0)).reshape(-1, 2).T
    left, right = x[starts] - step / 2, x[stops - 1] + step / 2
    right = np.maximum(right, left + pixel)
    # Spans that touch at this width become one: a noisy series has thousands, and each would be drawn.
    new = np.append(True, left[1:] > np.maximum.accumulate(right)[:-1])
    first = np.flatnonzero(new)
    ends = np.maximum.reduceat(right, first)
    spans = list(zip(left[first], ends - left[first], strict=True))
    ax.broken_barh(spans, (ymin, ymax - ymin), transform=ax.get_xaxis_transform(), linewidth=0, **style)


def finish(axes: Sequence[Axes], x: np.ndarray, is_time: bool) -> None:
    """Give axes on a common x axis their limits, and the lowest its ticks."""
    step = _step(x)
    axes[0].set_xlim(x[0] - step / 2, x[-1] + step / 2)
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=8, labelbottom=ax is axes[-1])
        ax.yaxis.label.set_fontsize(9)
    if is_time:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        locator = AutoDateLocator()
        axes[-1].xaxis.set_major_locator(locator)
        axes[-1].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes[-1].xaxis.get_offset_text().set_fontsize(8)
    axes[0].figure.align_ylabels(axes)


def decimate(values: np.ndarray, bins: int = MAX_BINS) -> tuple[np.ndarray, np.ndarray]:
    """Keep the lowest and the highest point of each of `bins` equal stretches of values (T,), or NaN.

    A line through them looks like the line through all points wherever a stretch is at most a pixel wide; no
    peak is lost, as it would be with every n-th point. Returns rising row numbers, all where there are no
    more than ``2 * bins``, and their values; a stretch without any number yields one NaN.
    """
    length = len(values)
    if length <= 2 * bins:
        return np.arange(length), values
    edges = np.linspace(0, length, bins + 1).astype(np.int64)
    rows = []
    for start, stop in pairwise(edges):
        stretch = values[start:stop]
        if np.isnan(stretch).all():
            rows.append(start)
        else:
            rows += sorted({start + int(np.nanargmin(stretch)), start + int(np.nanargmax(stretch))})
    kept = np.array(rows)
    return kept, values[kept]
