"""Measuring detectors: metrics, data sets, simple baselines and evaluation.

Names are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "BASELINES": "baselines",
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


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
