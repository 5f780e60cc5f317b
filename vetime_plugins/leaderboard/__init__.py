"""Comparing detectors: tasks, the runner, its results, and the report on them.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from vetime_plugins._lazy import lazy_names

_HOME = {
    "BenchmarkSeries": "datasets",
    "Cell": "results",
    "Task": "tasks",
    "care_score": "metrics",
    "compare_cells": "summary",
    "evaluate": "metrics",
    "find_buffer": "metrics",
    "iterate_series": "datasets",
    "read_cells": "results",
    "read_series": "datasets",
    "run_task": "runner",
    "summarise_cells": "summary",
}

__all__ = sorted(_HOME)

__getattr__, __dir__ = lazy_names(__name__, _HOME)
