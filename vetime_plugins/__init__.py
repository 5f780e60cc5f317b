"""VETime, a zero-shot time-series anomaly detector, and its adapters to PyOD, sktime, Darts and Merlion.

The public names are resolved on first use (PEP 562), so ``import vetime_plugins`` costs milliseconds and
does not import torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vetime_plugins._lazy import lazy_names

if TYPE_CHECKING:
    from vetime_plugins.errors import (
        CheckpointError,
        InputError,
        InputWarning,
        MissingDependencyError,
        OutOfMemoryError,
        VETimeError,
    )
    from vetime_plugins.incidents import Incident, Incidents, find_incidents
    from vetime_plugins.network.config import VETimeConfig
    from vetime_plugins.pipeline import VETimePipeline

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "Incident",
    "Incidents",
    "InputError",
    "InputWarning",
    "MissingDependencyError",
    "OutOfMemoryError",
    "VETimeConfig",
    "VETimeError",
    "VETimePipeline",
    "__version__",
    "find_incidents",
]

_HOME = {
    "CheckpointError": "errors",
    "Incident": "incidents",
    "Incidents": "incidents",
    "InputError": "errors",
    "InputWarning": "errors",
    "MissingDependencyError": "errors",
    "OutOfMemoryError": "errors",
    "VETimeConfig": "network.config",
    "VETimeError": "errors",
    "VETimePipeline": "pipeline",
    "find_incidents": "incidents",
}

__getattr__, __dir__ = lazy_names(__name__, _HOME)
