"""The detectors under their former name; they live in `vetime_plugins.detectors`."""

from __future__ import annotations

from vetime_plugins.detectors.registry import *  # noqa: F403
from vetime_plugins.detectors.registry import __all__ as __all__
