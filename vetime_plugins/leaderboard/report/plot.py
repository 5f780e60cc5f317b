"""A drawing that becomes a part of the page: its colours are the page's, and its marks tell their values.

Written by hand rather than by a plotting library: a figure is a few lines and names, it shows without any
script, light and dark mode colour it by the page's own style, and a filter finds a detector's marks in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

from vetime_plugins.leaderboard.report.svg import FRAMEWORKS

__all__ = ["CHARACTER", "Plot", "color_of"]

CHARACTER = 6.8
"""Pixels that a letter of a name is wide, on average and rather too many."""


def color_of(framework: str) -> str:
    """Return the class that has the colour of a framework."""
    return f"of-{framework if framework in FRAMEWORKS else 'other'}"


class Plot:
    """An SVG element of `width` by `height` pixels, from the upper left corner.

    `description` says what it shows to those who cannot see it. Classes of lines and shapes are those of the
    page's style.
    """

    def __init__(self, width: float, height: float, description: str) -> None:
        self._size = round(width), round(height)
        self._parts: list[str] = []
        self._description = description

    @contextmanager
    def mark(self, name: str, framework: str, hint: str) -> Iterator[None]:
        """Draw what follows as the mark of a detector, which says `hint` when it is pointed at."""
        self._parts.append(
            f'<g class="mark {color_of(framework)}" data-of="{escape(name)}" data-hint="{escape(hint)}">'
            f"<title>{escape(hint)}</title>"
        )
        yield
        self._parts.append("</g>")

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Draw a line through points."""
        at = " ".join(f"{_short(x)},{_short(y)}" for x, y in points)
        self._parts.append(f'<polyline class="{kind}" points="{at}" fill="none"/>')

    def circle(self, x: float, y: float, radius: float, kind: str) -> None:
        """Draw a filled circle."""
        self._parts.append(f'<circle class="{kind}" cx="{_short(x)}" cy="{_short(y)}" r="{_short(radius)}"/>')

    def reach(self, x: float, y: float, width: float, height: float) -> None:
        """Let a mark be pointed at in a rectangle, which does not show."""
        self._parts.append(
            f'<rect class="reach" x="{_short(x)}" y="{_short(y)}" width="{_short(width)}" '
            f'height="{_short(height)}"/>'
        )

    def text(self, x: float, y: float, text: str, anchor: str = "start", kind: str = "") -> None:
        """Write a text whose middle is at the height `y`, and whose `anchor` at `x`."""
        of = f' class="{kind}"' if kind else ""
        self._parts.append(
            f'<text x="{_short(x)}" y="{_short(y + 4)}" text-anchor="{anchor}"{of}>{escape(text)}</text>'
        )

    def render(self) -> str:
        """Return the element; on a narrow screen it keeps a size at which it can be read, and scrolls."""
        width, height = self._size
        return (
            f'<svg class="figure plot" role="img" aria-label="{escape(self._description)}" '
            f'viewBox="0 0 {width} {height}" '
            f'style="min-width: min(40rem, {width}px); max-width: {width}px">{"".join(self._parts)}</svg>'
        )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
