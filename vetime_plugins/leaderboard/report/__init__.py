"""The report of a run: one HTML file that needs no network, and a table in Markdown.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from vetime_plugins._lazy import lazy_names

_HOME = {
    "Analysis": "analysis",
    "Board": "board",
    "analyse": "analysis",
    "build_board": "board",
    "render_markdown": "markdown",
    "render_page": "page",
    "write_report": "page",
    "write_site": "site",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
