"""Measuring detectors: metrics, data sets, simple baselines and evaluation.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from vetime_plugins._lazy import lazy_names

_HOME = {
    "BenchmarkSeries": "datasets",
    "care_score": "metrics",
    "evaluate": "metrics",
    "evaluate_folder": "evaluation",
    "find_buffer": "metrics",
    "iterate_series": "datasets",
    "paired_bootstrap": "evaluation",
    "read_series": "datasets",
    "summarise": "evaluation",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
