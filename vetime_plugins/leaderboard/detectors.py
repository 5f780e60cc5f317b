"""The detectors under their former name; they live in :mod:`vetime_plugins.detectors`."""

from __future__ import annotations

from vetime_plugins.detectors.registry import (
    GROUP,
    Detector,
    FrameworkDetector,
    Job,
    built_in,
    built_in_detectors,
    get,
    names,
    register,
)

__all__ = [
    "GROUP",
    "Detector",
    "FrameworkDetector",
    "Job",
    "built_in",
    "built_in_detectors",
    "get",
    "names",
    "register",
]
