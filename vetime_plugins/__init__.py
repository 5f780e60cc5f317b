"""VETime, a zero-shot time-series anomaly detector, and its adapters to PyOD, sktime, Darts and Merlion.

The public names are resolved on first use (PEP 562), so ``import vetime_plugins`` costs milliseconds and
does not import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vetime_plugins.config import VETimeConfig
    from vetime_plugins.errors import CheckpointError, InputError, MissingDependencyError, VETimeError
    from vetime_plugins.pipeline import VETimePipeline

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "InputError",
    "MissingDependencyError",
    "VETimeConfig",
    "VETimeError",
    "VETimePipeline",
    "__version__",
]

_HOME = {
    "CheckpointError": "vetime_plugins.errors",
    "InputError": "vetime_plugins.errors",
    "MissingDependencyError": "vetime_plugins.errors",
    "VETimeConfig": "vetime_plugins.config",
    "VETimeError": "vetime_plugins.errors",
    "VETimePipeline": "vetime_plugins.pipeline",
}


def __getattr__(name: str) -> Any:
    """Import the module that defines a public `name` when the name is first asked for."""
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value  # the next access does not come through here
    return value


def __dir__() -> list[str]:
    """List the public names although most of them are not imported yet."""
    return sorted({*globals(), *__all__})
