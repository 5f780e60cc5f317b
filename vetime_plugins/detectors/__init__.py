"""Detectors of all frameworks behind one interface: the leaderboard compares them, the selection picks one.

`vetime_plugins.detectors.registry` tells how to add one. Names are loaded on first use, so that importing the
package costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vetime_plugins._lazy import lazy_names

if TYPE_CHECKING:
    from vetime_plugins.detectors.framework import FrameworkDetector, Job
    from vetime_plugins.detectors.registry import (
        GROUP,
        Detector,
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

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "registry"))
