"""VETime as a PyOD detector; importing this module needs no PyOD, taking a name from it does."""

from __future__ import annotations

from vetime_plugins.adapters._shared import at_home, without_framework
from vetime_plugins.errors import MissingDependencyError

__all__ = ["VETime", "register_with_adengine"]

try:
    from vetime_plugins.adapters._pyod import VETime, register_with_adengine
except MissingDependencyError as error:
    # Tools that look for estimators import every module of a package, whatever is installed.
    __getattr__ = without_framework(error, __all__)
else:
    at_home(__name__, VETime, register_with_adengine)
