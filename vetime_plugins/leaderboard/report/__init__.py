"""The report of a run: one HTML file that needs no network, and a table in Markdown.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Analysis": "statistics",
    "Board": "board",
    "analyse": "statistics",
    "build_board": "board",
    "render_markdown": "markdown",
    "render_page": "page",
    "write_report": "page",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
