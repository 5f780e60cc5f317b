"""Choosing a detector for one's own series without labels.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vetime_plugins._lazy import lazy_names

if TYPE_CHECKING:
    from vetime_plugins.selection.adengine import register_selection_with_adengine
    from vetime_plugins.selection.candidates import DEFAULT_CANDIDATES
    from vetime_plugins.selection.detector import CandidateDetector
    from vetime_plugins.selection.report import CandidateReport, Selection
    from vetime_plugins.selection.select import select_detector
    from vetime_plugins.selection.selected import SelectedDetector

__all__ = [
    "DEFAULT_CANDIDATES",
    "CandidateDetector",
    "CandidateReport",
    "SelectedDetector",
    "Selection",
    "register_selection_with_adengine",
    "select_detector",
]

_HOME = {
    "CandidateDetector": "detector",
    "CandidateReport": "report",
    "DEFAULT_CANDIDATES": "candidates",
    "SelectedDetector": "selected",
    "Selection": "report",
    "register_selection_with_adengine": "adengine",
    "select_detector": "select",
}

__getattr__, __dir__ = lazy_names(__name__, _HOME)
