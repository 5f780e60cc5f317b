"""The metrics under the name that the leaderboard documents; they live in `vetime_plugins.metrics`."""

from __future__ import annotations

from vetime_plugins.metrics import *  # noqa: F403
from vetime_plugins.metrics import __all__ as __all__
