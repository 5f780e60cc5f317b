"""Choosing a detector for one's own series without labels.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "CandidateDetector": "detector",
    "CandidateReport": "report",
    "DEFAULT_CANDIDATES": "candidates",
    "SelectedDetector": "detector",
    "Selection": "report",
    "register_selection_with_adengine": "adengine",
    "select_detector": "select",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
