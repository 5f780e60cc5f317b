"""Draw the figures of `docs/method.md` and the chart of `docs/guide.md`: run ``python docs/make_figures.py``.

Everything is seeded, so the pictures change only with the code that they show.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from vetime_plugins import VETimeConfig
from vetime_plugins.imaging import series_to_image
from vetime_plugins.network.alignment import unfold_matrix
from vetime_plugins.retrieval.evidence import compare_scales, joined_evidence, novelty, window_lengths
from vetime_plugins.retrieval.statistics import statistic_distances
from vetime_plugins.synthesis import inject

FOLDER = Path(__file__).parent / "images"
INK, RED, BLUE, GREEN, SAND = "#1b4965", "#d1495b", "#3a7ca5", "#5a9367", "#c8963e"
Array = NDArray[np.float64]


def bare(axis: Axes, title: str) -> None:
    """Leave the curve and its title."""
    axis.set_title(title, fontsize=9, loc="left", pad=3)
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_linewidth(0.4)


def save(figure: Figure, name: str, colours: int = 64) -> None:
    """Write one picture, small enough for a repository."""
    path = FOLDER / "method" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(colours).save(path, optimize=True)
    print(f"{name}: {path.stat().st_size / 1000:.0f} kB")


def cycles(number: int, period: int, noise: float = 0.06, seed: int = 3) -> Array:
    """Make a series of `number` cycles, each of them a hill with a smaller one behind it."""
    phase = np.arange(number * period) % period / period
    one = np.exp(-(((phase - 0.3) / 0.1) ** 2)) + 0.45 * np.exp(-(((phase - 0.7) / 0.07) ** 2))
    return one + noise * np.random.default_rng(seed).normal(size=len(phase))


def folding() -> None:
    """Show what folding by the period makes of a cycle that comes wrong."""
    period, number = 96, 14
    series = cycles(number, period)
    wrong = slice(8 * period, 9 * period)
    series[wrong] = np.roll(series[wrong], 30)
    figure, axes = plt.subplots(2, 1, figsize=(9, 4.4), height_ratios=[1, 1.5], layout="constrained")
    axes[0].plot(series, color=INK, lw=0.8)
    axes[0].axvspan(wrong.start, wrong.stop, color=RED, alpha=0.18, lw=0)
    axes[0].margins(x=0)
    bare(axes[0], f"On the timeline: {number} cycles of {period} steps, one of them late")
    image, geometry = series_to_image(series, period=period, size=None)
    axes[1].imshow(image[..., 0], aspect="auto", cmap="gray", interpolation="nearest")
    row = wrong.start // (geometry.fold.patches_per_row * geometry.patch_size)
    axes[1].axhspan(row - 0.5, row + 0.5, fill=False, ec=RED, lw=1.5)
    bare(axes[1], "Folded: one cycle a row. What repeats stands in columns, and the late cycle breaks them")
    axes[1].set_ylabel("cycle", fontsize=8)
    axes[1].set_xlabel("step of the cycle", fontsize=8)
    save(figure, "folding.png")


def alignment() -> None:
    """Show which tokens of the image make which patch of the timeline."""
    grid, per_row, patches = 8, 6, 30
    matrix = unfold_matrix(torch.tensor([patches]), torch.tensor([per_row]), 1, grid, patches)[0].numpy()
    times = matrix.T @ np.arange(patches) / np.maximum(matrix.sum(0), 1e-9)
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.3), width_ratios=[1, 1.35, 1], layout="constrained")
    axes[0].imshow(times.reshape(grid, grid), cmap="viridis", vmin=0, vmax=patches - 1)
    for at in np.arange(grid - 1) + 0.5:
        axes[0].axhline(at, color="white", lw=0.6)
        axes[0].axvline(at, color="white", lw=0.6)
    bare(axes[0], f"Tokens of the image ({grid} x {grid})")
    axes[1].imshow(matrix, aspect="auto", cmap="Greys", vmin=0, vmax=matrix.max())
    bare(axes[1], "The unfold: one row a patch")
    axes[1].set_xlabel("token of the image", fontsize=8)
    axes[1].set_ylabel("patch of the timeline", fontsize=8)
    back = (matrix @ times)[:, None] / matrix.sum(1, keepdims=True)
    axes[2].imshow(back.reshape(-1, per_row), cmap="viridis", vmin=0, vmax=patches - 1)
    for patch in range(patches):
        axes[2].text(
            patch % per_row, patch // per_row, str(patch), ha="center", va="center", color="w", fontsize=7
        )
    bare(axes[2], f"{patches} patches, {per_row} a period")
    save(figure, "alignment.png", colours=128)


def parts_of_evidence(series: Array) -> dict[str, Array]:
    """Return what windows, statistics of windows, and points say of a series, each of shape (T,)."""
    config = VETimeConfig.preset("small").retrieval
    assert config is not None
    z = torch.tensor((series - series.mean()) / series.std(), dtype=torch.float32)[None]
    scales = compare_scales([z], None, None, config)
    whole = joined_evidence(scales, [z], None, config)
    without = joined_evidence(scales, [z], None, dataclasses.replace(config, point_gain=0.0))
    windows = joined_evidence(scales, [z], None, dataclasses.replace(config, point_gain=0.0, statistics=()))
    views = []
    for window in dict.fromkeys(window_lengths(config.statistics, [z])):
        distances, mean, deviation = statistic_distances([z], None, window, config)
        views.append((distances - mean) / (deviation + 0.005))
    statistics = novelty(torch.stack(views), config.temperature)[:1]
    found = {"windows": windows, "statistics": statistics, "points": whole - without, "together": whole}
    return {name: value[0].double().numpy() for name, value in found.items()}


def evidence() -> None:
    """Show which evidence speaks for which kind of anomaly."""
    kinds = {
        "spike": "A spike",
        "wrong_shape": "A wrong shape",
        "variance": "A quiet stretch",
        "stuck": "No change",
    }
    colours = {"windows": BLUE, "statistics": GREEN, "points": SAND, "together": INK}
    figure, axes = plt.subplots(5, 4, figsize=(11, 6), sharex=True, layout="constrained")
    for column, (kind, title) in enumerate(kinds.items()):
        clean = cycles(20, 60, noise=0.1, seed=column)
        if kind == "spike":
            series, labels = clean.copy(), np.zeros(len(clean), dtype=bool)
            series[640] += 1.2
            labels[630:651] = True
        else:
            made = inject(clean, kind, seed=5, length=70, period=60, severity=0.9)
            series, labels = made.values[:, 0], made.labels.astype(bool)
        axes[0, column].plot(series, color="black", lw=0.6)
        bare(axes[0, column], title)
        for row, (name, value) in enumerate(parts_of_evidence(series).items(), start=1):
            axes[row, column].plot(value, color=colours[name], lw=0.9)
            axes[row, column].set_ylim(-2.2, 5.5)
            bare(axes[row, column], "")
            if column == 0:
                axes[row, column].set_ylabel(name, fontsize=9)
        for axis in axes[:, column]:
            marked = np.flatnonzero(labels)
            axis.axvspan(marked[0], marked[-1], color=RED, alpha=0.18, lw=0)
            axis.margins(x=0)
    save(figure, "evidence.png")


def box(x: int, y: int, width: int, lines: list[str], fill: str) -> str:
    """Return a box with centred text."""
    height = 20 + 18 * len(lines)
    text = "".join(
        f'<text x="{x + width / 2}" y="{y + 25 + 18 * n}" text-anchor="middle">{escape(line)}</text>'
        for n, line in enumerate(lines)
    )
    shape = f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="7" fill="{fill}" stroke="#7a8b99"/>'
    return shape + text


def arrow(points: list[tuple[int, int]], word: str, at: tuple[int, int]) -> str:
    """Return a line with a head, and the answer that leads along it."""
    path = " ".join(f"{x},{y}" for x, y in points)
    line = (
        f'<polyline points="{path}" fill="none" stroke="#7a8b99" stroke-width="1.6" marker-end="url(#head)"/>'
    )
    return line + f'<text x="{at[0]}" y="{at[1]}" class="answer" text-anchor="middle">{escape(word)}</text>'


def chart() -> None:
    """Write the chart by which a threshold is chosen."""
    ask, take = "#dbe7f3", "#e5f1e3"
    parts = [
        box(20, 20, 250, ["Do you have labels for", "some of the series?"], ask),
        box(420, 20, 280, ["The score that is best on them:", "threshold=0.9993, say"], take),
        box(20, 130, 250, ["How many alarms", "can you look at?"], ask),
        box(420, 110, 280, ["No threshold: sort by score"], take),
        box(420, 170, 280, ['threshold="quantile"', "contamination=0.01"], take),
        box(420, 250, 280, ["threshold = 1 - 1 / N"], take),
        box(20, 310, 250, ["Do the scores of a stream", "change for good?"], ask),
        box(420, 310, 280, ['threshold="rolling" or "dspot"', "of StreamingVETime"], take),
        box(20, 420, 250, ['threshold="auto"'], take),
        arrow([(270, 48), (412, 48)], "yes", (340, 42)),
        arrow([(145, 76), (145, 122)], "no", (165, 104)),
        arrow([(270, 148), (286, 148), (286, 129), (412, 129)], "a fixed number", (352, 122)),
        arrow([(270, 158), (298, 158), (298, 198), (412, 198)], "a fixed share", (356, 191)),
        arrow([(270, 168), (286, 168), (286, 269), (412, 269)], "one false in N", (352, 262)),
        arrow([(145, 186), (145, 302)], "do not know", (195, 250)),
        arrow([(270, 338), (412, 338)], "yes", (340, 332)),
        arrow([(145, 366), (145, 412)], "no", (165, 394)),
    ]
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 480" role="img" '
        'aria-label="Which threshold to choose">\n'
        "<style>text{font:14px system-ui,sans-serif;fill:#1f2d3a}"
        ".answer{font-size:12px;font-style:italic}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#7a8b99"/></marker></defs>\n'
        '<rect width="720" height="480" rx="8" fill="#fbfcfd"/>\n'
    )
    (FOLDER / "threshold-chart.svg").write_text(head + "\n".join(parts) + "\n</svg>\n", encoding="utf-8")
    print("threshold-chart.svg")


if __name__ == "__main__":
    folding()
    alignment()
    evidence()
    chart()
