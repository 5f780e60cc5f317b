"""Draw the pictures of `docs/synthesis.md`: run ``python docs/make_synthesis_gallery.py``.

Everything is seeded, so the pictures change only with the generators.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from vetime_plugins.synthesis import CorpusConfig, SyntheticSeries, generate, inject, list_kinds
from vetime_plugins.synthesis.anomalies import KINDS
from vetime_plugins.synthesis.normal import FAMILIES, draw_normal
from vetime_plugins.synthesis.normal.shapes import SHAPES, draw_shape

FOLDER = Path(__file__).parent / "images" / "synthesis"
INK, PALE, RED = "#1b4965", "#b0b7bd", "#d1495b"


def bare(axis: Axes, title: str, size: float = 7.5) -> None:
    """Leave the curve and its title."""
    axis.set_title(title, fontsize=size, loc="left", pad=2)
    axis.set_xticks([])
    axis.set_yticks([])
    for side in axis.spines.values():
        side.set_linewidth(0.3)
    axis.margins(x=0)


def save(figure: Figure, name: str) -> None:
    """Write one picture, small enough for a repository."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / name
    figure.tight_layout(pad=0.4, h_pad=0.5, w_pad=0.5)
    raw = BytesIO()
    figure.savefig(raw, dpi=80)
    plt.close(figure)
    Image.open(raw).convert("RGB").quantize(16).save(path, optimize=True)  # few colours are needed
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def shapes() -> None:
    """Draw three cycles of each shape."""
    figure, axes = plt.subplots(6, 4, figsize=(10, 5.2))
    for axis, name in zip(axes.flat, SHAPES, strict=False):
        axis.plot(np.tile(draw_shape(np.random.default_rng(11), name), 3)[::4], color=INK, lw=0.8)
        bare(axis, name)
    for axis in axes.flat[len(SHAPES) :]:
        axis.axis("off")
    save(figure, "shapes.png")


def families() -> None:
    """Draw three examples of each family."""
    figure, axes = plt.subplots(len(FAMILIES), 3, figsize=(11, 0.72 * len(FAMILIES)))
    for row, name in zip(axes, FAMILIES, strict=True):
        for column, axis in enumerate(row):
            draft = draw_normal(
                np.random.default_rng([21, column]), 1200, families={name: 1.0}, gap_probability=0
            )
            axis.plot(draft.sensor.store(draft.values), color=INK, lw=0.5)
            bare(axis, name if column == 0 else "")
    save(figure, "families.png")


def mark(axis: Axes, result: SyntheticSeries, variable: int, low: int, high: int) -> None:
    """Draw one variable, what it would have been, and its labels."""
    steps = np.arange(low, high)
    axis.plot(steps, result.clean[low:high, variable], color=PALE, lw=0.8)
    axis.plot(steps, result.values[low:high, variable], color=INK, lw=0.7)
    labels = np.flatnonzero(result.variable_labels[low:high, variable]) + low
    thin = (high - low) / 150  # a single step is drawn this wide, or it could not be seen
    for span in np.split(labels, np.flatnonzero(np.diff(labels) > 1) + 1):
        if len(span):
            axis.axvspan(span[0] - 0.5 - thin, span[-1] + 0.5 + thin, color=RED, alpha=0.25, lw=0)


def anomalies() -> None:
    """Draw each kind of one variable in the same noisy cycle and in a series from the corpus."""
    names = [name for name in list_kinds() if not KINDS[name].relational]
    steps = np.arange(900)
    cycle = np.sin(2 * np.pi * steps / 60) + 0.5 * np.sin(4 * np.pi * steps / 60 + 1)
    cycle += 0.06 * np.random.default_rng(2).standard_normal(len(steps))
    rows = -(-len(names) // 3)
    figure, axes = plt.subplots(rows, 6, figsize=(13, 0.85 * rows))
    for axis in axes.flat:
        axis.axis("off")
    for number, name in enumerate(names):
        left, right = axes[number % rows, 2 * (number // rows) : 2 * (number // rows) + 2]
        config = CorpusConfig(clean_share=0, single_share=1, kinds={name: 1.0}, severity=(0.6, 0.9))
        drawn = next(
            s for s in (generate(1500, seed=100 * number + k, config=config) for k in range(50)) if s.kinds
        )
        for axis, result in ((left, inject(cycle, name, severity=0.7, seed=5)), (right, drawn)):
            axis.axis("on")
            _, start, stop, _ = result.kinds[0]
            room = max(150, 2 * (stop - start))
            mark(axis, result, 0, max(0, start - room), min(len(result), stop + room))
        bare(left, name)
        bare(right, f"{drawn.family}")
    save(figure, "anomalies.png")


def relations() -> None:
    """Draw the kinds between variables on two variables that go together."""
    rng = np.random.default_rng(4)
    lead = np.convolve(rng.standard_normal(1400), np.hanning(40), mode="same")[:1300]
    pair = np.stack([lead, np.roll(lead, 4) + 0.15 * rng.standard_normal(1300)], axis=1)
    names = [name for name in list_kinds() if KINDS[name].relational]
    figure, axes = plt.subplots(2, len(names), figsize=(11, 2.2))
    for column, name in zip(axes.T, names, strict=True):
        result = inject(pair, name, severity=0.8, seed=6, length=100)
        _, start, stop, _ = result.kinds[0]
        for variable, axis in enumerate(column):
            mark(axis, result, variable, max(0, start - 250), min(1300, stop + 250))
            bare(axis, name if variable == 0 else "")
    save(figure, "relations.png")


def panels() -> None:
    """Draw one panel of each style with its anomalies."""
    wanted = ["plant", "body", "server", "telemetry"]
    drawn: dict[str, SyntheticSeries] = {}
    for seed in range(200):
        series = generate(1500, 8, seed=seed, config=CorpusConfig(clean_share=0.0, severity=(0.6, 1.0)))
        commands = sum(np.unique(column).size == 2 for column in series.clean.T)
        if series.family == "telemetry" and commands < 3:
            continue
        if len(series.kinds) > 1 and series.labels.mean() > 0.03:
            drawn.setdefault(series.family, series)
    figure, axes = plt.subplots(8, len(wanted), figsize=(12, 5.2))
    for column, style in zip(axes.T, wanted, strict=True):
        for variable, axis in enumerate(column):
            mark(axis, drawn[style], variable, 0, 1500)
            bare(axis, style if variable == 0 else "")
    save(figure, "panels.png")


if __name__ == "__main__":
    shapes()
    families()
    anomalies()
    relations()
    panels()
