"""Choosing a detector for one's own series without labels.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from vetime_plugins._lazy import lazy_names

_HOME = {
    "CandidateDetector": "detector",
    "CandidateReport": "report",
    "DEFAULT_CANDIDATES": "candidates",
    "SelectedDetector": "selected",
    "Selection": "report",
    "register_selection_with_adengine": "adengine",
    "select_detector": "select",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
