"""Figures as SVG that becomes a part of the page: its colours, its font, no identifier twice."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from vetime_plugins._lazy import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BLUE", "FRAMEWORKS", "GREY", "INK", "PAPER", "RED", "render", "shorten"]

# Stand-ins that no colour map yields. In the page they are its variables: light and dark mode have others.
INK, GREY, LINE, PAPER, BLUE, RED = (f"#0{i}0f0{i}" for i in range(1, 7))
_VARIABLES = {INK: "ink", GREY: "grey", LINE: "line", PAPER: "paper", BLUE: "blue", RED: "red"}
FRAMEWORKS = {
    "vetime_plugins": "#0072b2",
    "pyod": "#e69f00",
    "sktime": "#009e73",
    "darts": "#cc79a7",
    "merlion": "#d55e00",
}
"""Colours of frameworks, the same in light and dark mode; the page's style has them too."""
_POINTS = 72  # an inch


def render(
    name: str,
    description: str,
    size: tuple[float, float],
    paint: Callable[[Figure], None],
    hints: Sequence[tuple[float, float, str]] = (),
) -> str:
    """Draw a figure and return it as an SVG element for a page; the same whenever and wherever it is made.

    Parameters
    ----------
    name : str
        Unique in the page: the beginning of every identifier.
    description : str
        What the figure shows, for those who cannot see it.
    size : tuple of float
        Width and height in inches.
    paint : callable
        Draws on the figure, under the report's own settings of matplotlib.
    hints : sequence of (float, float, str)
        Upper and lower edge, in inches from above, of stretches that tell a text when they are pointed at.
    """
    mpl = need("matplotlib", "the report needs matplotlib>=3.8", extra="report")
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",  # text stays text: it can be searched, and takes the page's font
        "text.parse_math": False,  # a name may hold dollar signs
        "font.family": ["DejaVu Sans"],  # comes with matplotlib, so that sizes are the same everywhere
        "font.size": 9.0,
        "text.color": INK,
        "axes.edgecolor": GREY,
        "axes.facecolor": "none",
        "axes.labelcolor": INK,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "grid.color": LINE,
        "grid.linewidth": 0.8,
    }
    with mpl.rc_context():
        mpl.rcdefaults()  # not the user's own style, which would show in the page
        mpl.rcParams.update(settings)
        figure = Figure(figsize=size, dpi=_POINTS, facecolor="none")
        FigureCanvasSVG(figure)
        paint(figure)
        stream = io.StringIO()
        figure.savefig(stream, format="svg", facecolor="none", metadata={"Date": None})
    return _embed(stream.getvalue(), name, description, size, hints)


def shorten(name: str, length: int = 36) -> str:
    """Return a name that takes at most `length` characters in a figure."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _embed(
    text: str,
    name: str,
    description: str,
    size: tuple[float, float],
    hints: Sequence[tuple[float, float, str]],
) -> str:
    body = text[text.index("<svg") :]
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)  # would hold for the whole page
    body = re.sub(r'<g id="[^"]*">', "<g>", body)  # figure_1 and so on: the same in every figure
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r">\s+<", "><", body)  # what matplotlib indents with; the white space of names stays
    for before in (' id="', "url(#", 'href="#'):
        body = body.replace(before, f"{before}{name}-")
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var(--{variable})")
    width, height = (round(inches * _POINTS) for inches in size)
    told = "".join(
        f'<g data-hint="{escape(hint)}"><title>{escape(hint)}</title><rect class="reach" x="0" '
        f'y="{_POINTS * top:.1f}" width="{width}" height="{_POINTS * (bottom - top):.1f}"/></g>'
        for top, bottom, hint in hints
    )
    return (
        f'<svg class="figure" role="img" aria-label="{escape(description)}" viewBox="0 0 {width} {height}" '
        f'style="min-width: min(40rem, {width}px); max-width: {round(1.25 * width)}px" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f"{body.strip()}{told}</svg>"
    )
